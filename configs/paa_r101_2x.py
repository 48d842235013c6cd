"""PAA with a ResNet-101, twice as long.

    python main.py --config=configs/paa_r101_2x.py --workdir=runs/paa_r101_2x

Table 3, PAA, 2x: AP 43.5 (val)
Table 4, PAA, 2x: AP 43.5 (val)
Table 5, PAA R101, 2x: AP 43.5 (val)
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    return paper.row(paper.R101, "2x")
