"""PAA with a ResNet-50 and a COP head.

    python main.py --config=configs/paa_cop_r50_1x.py --workdir=runs/paa_cop_r50_1x

Appendix, R50, IoU and COP: AP 41.6 (val)

Losses are divided as in the released code, which trained this network.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R50, "1x")
    config.model.objectness = "conditional"
    config.losses.normaliser_pictures = 8
    return config
