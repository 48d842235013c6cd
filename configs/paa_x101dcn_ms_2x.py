"""PAA with a deformable ResNeXt-101-64x4d, short sides of 640 to 800.

    python main.py --config=configs/paa_x101dcn_ms_2x.py --workdir=runs/paa_x101dcn_ms_2x

Table 7, PAA X101-DCN: AP 49.0, AP50 67.8, AP75 53.3, APS 30.2, APM 51.3, APL 62.2 (test-dev)

Quoted from the original PAA, whose pictures, assignment and pretrained weights differ a little: docs/differences.md has
its keys. Here PAA is that of all other rows, but losses are divided by sums over the batch, as there.
Open: which ImageNet weights. timm's, from gluon. What is deformable is the original's: stages 3 and 4, and the
last convolution of each tower.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.X101_DCN, "2x")
    paper.set_multi_scale(config)
    config.losses.normaliser_pictures = 0
    return config
