"""CoLAD: a deformable ResNeXt-101-64x4d with a COP head (student) and a trained ResNet-50 (teacher).

    python -m lad_jax.recipe configs/colad_x101dcncop_r50p3x_ms_2x.py --run
    python main.py --config=configs/colad_x101dcncop_r50p3x_ms_2x.py --workdir=runs/colad_x101dcncop_r50p3x_ms_2x

Teacher: configs/paa_r50_ms_3x.py
Table 7, CoLAD X101-DCN: AP 49.2, AP50 68.3, AP75 54.1, APS 30.6, APM 52.8, APL 61.9 (test-dev)
Table 8, the teacher, X101-DCN: AP 49.2, AP50 68.3, AP75 54.1, APS 30.6, APM 52.8, APL 61.9 (test-dev)

Open: how often the networks take turns. As released: for each object and level, where the text says each step.
Open: which ImageNet weights (timm's, from gluon), and what is deformable. As in the original PAA: stages 3 and 4, and
the last convolution of each tower.
"""

from ml_collections import ConfigDict

from configs import paa_r50_ms_3x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.X101_DCN, "2x", method="colad")
    paper.set_teacher(config, paa_r50_ms_3x)
    config.model.objectness = "conditional"
    paper.set_multi_scale(config)
    return config
