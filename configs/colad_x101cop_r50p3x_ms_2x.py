"""CoLAD: a ResNeXt-101-64x4d with a COP head (student) and a trained ResNet-50 (teacher).

    python -m lad_jax.recipe configs/colad_x101cop_r50p3x_ms_2x.py --run
    python main.py --config=configs/colad_x101cop_r50p3x_ms_2x.py --workdir=runs/colad_x101cop_r50p3x_ms_2x

Teacher: configs/paa_r50_ms_3x.py
Table 7, CoLAD X101: AP 47.5, AP50 66.4, AP75 52.1, APS 29.8, APM 51.0, APL 59.1 (test-dev)

Open: how often the networks take turns. As released: for each object and level, where the text says each step.
Open: which ImageNet weights. timm's, from gluon.
"""

from ml_collections import ConfigDict

from configs import paa_r50_ms_3x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.X101, "2x", method="colad")
    paper.set_teacher(config, paa_r50_ms_3x)
    config.model.objectness = "conditional"
    paper.set_multi_scale(config)
    return config
