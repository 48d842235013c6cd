"""SoLAD: a ResNet-50 with a COP head by the costs and predictions of a Swin-B.

    python -m lad_jax.recipe configs/solad_r50cop_swinb_1x.py --run
    python main.py --config=configs/solad_r50cop_swinb_1x.py --workdir=runs/solad_r50cop_swinb_1x

Teacher: configs/dynamic_lad_swinb_x101dcn_ms_3x.py
Table 9, SoLAD R50 †: AP 43.7, AP50 63.0, AP75 48.0, APS 25.8, APM 47.5, APL 54.9 (test-dev)

Open: the weights of the soft term, as released for SoLAD; whether COP keeps the IoU branch: it does.
"""

from ml_collections import ConfigDict

from configs import dynamic_lad_swinb_x101dcn_ms_3x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R50, "1x", method="solad")
    paper.set_teacher(config, dynamic_lad_swinb_x101dcn_ms_3x)
    config.model.objectness = "conditional"
    return config
