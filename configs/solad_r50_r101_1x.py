"""SoLAD: a ResNet-50 by the costs and predictions of a ResNet-101.

    python -m lad_jax.recipe configs/solad_r50_r101_1x.py --run
    python main.py --config=configs/solad_r50_r101_1x.py --workdir=runs/solad_r50_r101_1x

Teacher: configs/paa_r101_1x.py
Table 2, SoLAD: AP 42.4 (val)
"""

from ml_collections import ConfigDict

from configs import paa_r101_1x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R50, "1x", method="solad")
    paper.set_teacher(config, paa_r101_1x)
    return config
