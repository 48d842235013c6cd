"""CoLAD: a ResNet-101 (student) and a trained ResNet-50 (teacher).

    python -m lad_jax.recipe configs/colad_r101_r50p1x_1x.py --run
    python main.py --config=configs/colad_r101_r50p1x_1x.py --workdir=runs/colad_r101_r50p1x_1x

Teacher: configs/paa_r50_1x.py
Table 4, CoLAD, std/mean, 1x: AP 43.3 (val)
Table 5, trained R50, CoLAD 1x: AP 42.6 (val)
Table 5, R101, CoLAD 1x with a trained R50: AP 43.3 (val)

Open: how often the networks take turns. As released: for each object and level, where the text says each step.
"""

from ml_collections import ConfigDict

from configs import paa_r50_1x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R101, "1x", method="colad")
    paper.set_teacher(config, paa_r50_1x)
    return config
