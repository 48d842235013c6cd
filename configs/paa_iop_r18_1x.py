"""PAA with a ResNet-18 and an IOP head.

    python main.py --config=configs/paa_iop_r18_1x.py --workdir=runs/paa_iop_r18_1x

Appendix, R18, IoU and IOP: AP 36.7 (val)

Losses are divided as in the released code, which trained this network.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R18, "1x")
    config.model.objectness = "implicit"
    config.losses.normaliser_pictures = 8
    return config
