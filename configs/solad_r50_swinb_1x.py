"""SoLAD: a ResNet-50 by the costs and predictions of a Swin-B.

    python -m lad_jax.recipe configs/solad_r50_swinb_1x.py --run
    python main.py --config=configs/solad_r50_swinb_1x.py --workdir=runs/solad_r50_swinb_1x

Teacher: configs/dynamic_lad_swinb_x101dcn_ms_3x.py
Table 9, SoLAD R50: AP 42.9, AP50 62.2, AP75 46.8, APS 25.1, APM 46.5, APL 54.0 (test-dev)

Open: the weights of the soft term, as released for SoLAD.
"""

from ml_collections import ConfigDict

from configs import dynamic_lad_swinb_x101dcn_ms_3x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R50, "1x", method="solad")
    paper.set_teacher(config, dynamic_lad_swinb_x101dcn_ms_3x)
    return config
