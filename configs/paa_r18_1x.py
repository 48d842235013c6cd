"""PAA with a ResNet-18.

    python main.py --config=configs/paa_r18_1x.py --workdir=runs/paa_r18_1x

Table 6, PAA: AP 35.8 (val)
Appendix, R18, IoU: AP 35.8 (val)

Losses are divided as in the released code, which trained this network; mmdetection has none.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R18, "1x")
    config.losses.normaliser_pictures = 8
    return config
