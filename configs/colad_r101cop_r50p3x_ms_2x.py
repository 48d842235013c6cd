"""CoLAD: a ResNet-101 with a COP head (student) and a trained ResNet-50 (teacher).

    python -m lad_jax.recipe configs/colad_r101cop_r50p3x_ms_2x.py --run
    python main.py --config=configs/colad_r101cop_r50p3x_ms_2x.py --workdir=runs/colad_r101cop_r50p3x_ms_2x

Teacher: configs/paa_r50_ms_3x.py
Table 7, CoLAD R101: AP 46.0, AP50 64.4, AP75 50.6, APS 27.9, APM 49.9, APL 57.3 (test-dev)

Open: how often the networks take turns. As released: for each object and level, where the text says each step.
"""

from ml_collections import ConfigDict

from configs import paa_r50_ms_3x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R101, "2x", method="colad")
    paper.set_teacher(config, paa_r50_ms_3x)
    config.model.objectness = "conditional"
    paper.set_multi_scale(config)
    return config
