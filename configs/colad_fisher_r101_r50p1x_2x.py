"""CoLAD: a ResNet-101 (student) and a trained ResNet-50 (teacher), Fisher score, twice as long.

    python -m lad_jax.recipe configs/colad_fisher_r101_r50p1x_2x.py --run
    python main.py --config=configs/colad_fisher_r101_r50p1x_2x.py --workdir=runs/colad_fisher_r101_r50p1x_2x

Teacher: configs/paa_r50_1x.py
Table 4, CoLAD, Fisher, 2x: AP 43.9 (val)

Open: which costs the score is of; none is released. All candidates of an object and level, as for the other score.
"""

from ml_collections import ConfigDict

from configs import paa_r50_1x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R101, "2x", method="colad")
    paper.set_teacher(config, paa_r50_1x)
    config.switch.criterion = "fisher"
    return config
