"""CoLAD: a ResNet-50 (student) and a ResNet-101 (teacher).

    python main.py --config=configs/colad_r50_r101_1x.py --workdir=runs/colad_r50_r101_1x

Table 5, R50, CoLAD 1x: AP 41.3 (val)
Table 5, R101, CoLAD 1x: AP 43.1 (val)

Open: how often the networks take turns. As released: for each object and level, where the text says each step.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R50, "1x", method="colad")
    paper.set_backbone(config.teacher.model, paper.R101)
    return config
