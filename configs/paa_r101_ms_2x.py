"""PAA with a ResNet-101, short sides of 640 to 800.

    python main.py --config=configs/paa_r101_ms_2x.py --workdir=runs/paa_r101_ms_2x

Table 7, PAA R101: AP 44.8, AP50 63.3, AP75 48.7, APS 26.5, APM 48.8, APL 56.3 (test-dev)

Quoted from the original PAA, whose pictures, assignment and pretrained weights differ a little: docs/differences.md has
its keys. Here PAA is that of all other rows, but losses are divided by sums over the batch, as there.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R101, "2x")
    paper.set_multi_scale(config)
    config.losses.normaliser_pictures = 0
    return config
