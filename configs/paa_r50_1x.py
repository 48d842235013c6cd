"""PAA with a ResNet-50.

    python main.py --config=configs/paa_r50_1x.py --workdir=runs/paa_r50_1x

Table 2, PAA: AP 40.4 (val)
Table 5, PAA R50, 1x: AP 40.4 (val)
Appendix, R50, IoU: AP 40.4 (val)
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    return paper.row(paper.R50, "1x")
