"""PAA with a ResNet-18 and a COP head without IoU branch.

    python main.py --config=configs/paa_cop_noiou_r18_1x.py --workdir=runs/paa_cop_noiou_r18_1x

Appendix, R18, COP: AP 36.9 (val)

Losses are divided as in the released code, which trained this network.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R18, "1x")
    config.model.objectness = "conditional"
    config.model.iou_branch = False
    config.losses.normaliser_pictures = 8
    return config
