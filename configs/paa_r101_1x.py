"""PAA with a ResNet-101.

    python main.py --config=configs/paa_r101_1x.py --workdir=runs/paa_r101_1x

Table 3, PAA: AP 42.6 (val)
Table 4, PAA, 1x: AP 42.6 (val)
Table 5, PAA R101, 1x: AP 42.6 (val)
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    return paper.row(paper.R101, "1x")
