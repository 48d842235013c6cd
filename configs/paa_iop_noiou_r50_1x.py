"""PAA with a ResNet-50 and an IOP head without IoU branch.

    python main.py --config=configs/paa_iop_noiou_r50_1x.py --workdir=runs/paa_iop_noiou_r50_1x

Appendix, R50, IOP: AP 41.1 (val)

Losses are divided as in the released code, which trained this network.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R50, "1x")
    config.model.objectness = "implicit"
    config.model.iou_branch = False
    config.losses.normaliser_pictures = 8
    return config
