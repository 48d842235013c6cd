"""LAD: a ResNet-101 by the costs of a ResNet-50.

    python -m lad_jax.recipe configs/lad_r101_r50_1x.py --run
    python main.py --config=configs/lad_r101_r50_1x.py --workdir=runs/lad_r101_r50_1x

Teacher: configs/paa_r50_1x.py
Table 3, LAD: AP 43.3 (val)
Table 4, LAD, 1x: AP 43.3 (val)
"""

from ml_collections import ConfigDict

from configs import paa_r50_1x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R101, "1x", method="lad")
    paper.set_teacher(config, paa_r50_1x)
    return config
