"""CoLAD: a ResNet-18 (student) and a ResNet-50 (teacher).

    python main.py --config=configs/colad_r18_r50_1x.py --workdir=runs/colad_r18_r50_1x

Table 6, CoLAD with R50: AP 36.5 (val)

Open: how often the networks take turns. As released: for each object and level, where the text says each step.
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R18, "1x", method="colad")
    paper.set_backbone(config.teacher.model, paper.R50)
    return config
