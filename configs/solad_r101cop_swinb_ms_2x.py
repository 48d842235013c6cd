"""SoLAD: a ResNet-101 with a COP head by the costs and predictions of a Swin-B.

    python -m lad_jax.recipe configs/solad_r101cop_swinb_ms_2x.py --run
    python main.py --config=configs/solad_r101cop_swinb_ms_2x.py --workdir=runs/solad_r101cop_swinb_ms_2x

Teacher: configs/dynamic_lad_swinb_x101dcn_ms_3x.py
Table 9, SoLAD R101 †: AP 47.9, AP50 67.1, AP75 52.7, APS 29.6, APM 51.9, APL 59.6 (test-dev)

Open: the weights of the soft term, as released for SoLAD; whether COP keeps the IoU branch: it does;
sizes of pictures: short sides of 640 to 800, as in Table 7.
"""

from ml_collections import ConfigDict

from configs import dynamic_lad_swinb_x101dcn_ms_3x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R101, "2x", method="solad")
    paper.set_teacher(config, dynamic_lad_swinb_x101dcn_ms_3x)
    config.model.objectness = "conditional"
    paper.set_multi_scale(config)
    return config
