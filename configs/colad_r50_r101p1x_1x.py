"""CoLAD: a ResNet-50 (student) and a trained ResNet-101 (teacher).

    python -m lad_jax.recipe configs/colad_r50_r101p1x_1x.py --run
    python main.py --config=configs/colad_r50_r101p1x_1x.py --workdir=runs/colad_r50_r101p1x_1x

Teacher: configs/paa_r101_1x.py
Table 5, R50, CoLAD 1x with a trained R101: AP 41.6 (val)
Table 5, trained R101, CoLAD 1x: AP 44.1 (val)

Open: how often the networks take turns. As released: for each object and level, where the text says each step.
"""

from ml_collections import ConfigDict

from configs import paa_r101_1x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R50, "1x", method="colad")
    paper.set_teacher(config, paa_r101_1x)
    return config
