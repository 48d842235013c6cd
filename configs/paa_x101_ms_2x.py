"""PAA with a ResNeXt-101-64x4d, short sides of 640 to 800.

    python main.py --config=configs/paa_x101_ms_2x.py --workdir=runs/paa_x101_ms_2x

Table 7, PAA X101: AP 46.6, AP50 65.6, AP75 50.8, APS 28.8, APM 50.4, APL 57.9 (test-dev)

Quoted from the original PAA, whose pictures, assignment and pretrained weights differ a little: docs/differences.md has
its keys. Here PAA is that of all other rows, but losses are divided by sums over the batch, as there.
Open: which ImageNet weights. timm's, from gluon.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.X101, "2x")
    paper.set_multi_scale(config)
    config.losses.normaliser_pictures = 0
    return config
