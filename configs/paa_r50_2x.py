"""PAA with a ResNet-50, twice as long.

    python main.py --config=configs/paa_r50_2x.py --workdir=runs/paa_r50_2x

Table 5, PAA R50, 2x: AP 41.6 (val)
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    return paper.row(paper.R50, "2x")
