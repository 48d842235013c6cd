"""CoLAD: a ResNet-50 (student) and a ResNet-101 (teacher), twice as long.

    python main.py --config=configs/colad_r50_r101_2x.py --workdir=runs/colad_r50_r101_2x

Table 5, R50, CoLAD 2x: AP 42.4 (val)
Table 5, R101, CoLAD 2x: AP 44.1 (val)

Open: how often the networks take turns. As released: for each object and level, where the text says each step.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R50, "2x", method="colad")
    paper.set_backbone(config.teacher.model, paper.R101)
    return config
