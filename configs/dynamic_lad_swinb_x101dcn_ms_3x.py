"""LAD with dynamic switch: a Swin-B by its own or a deformable ResNeXt-101-64x4d's costs.

    python -m lad_jax.recipe configs/dynamic_lad_swinb_x101dcn_ms_3x.py --run
    python main.py --config=configs/dynamic_lad_swinb_x101dcn_ms_3x.py --workdir=runs/dynamic_lad_swinb_x101dcn_ms_3x

Teacher: configs/colad_x101dcncop_r50p3x_ms_2x.py
Table 8, Swin-B: AP 51.4 (val), AP 52.0, AP50 71.3, AP75 57.2, APS 33.8, APM 55.7, APL 65.1 (test-dev)

The teacher is that run's student. Open: head and pyramid (PAA's, on C3 to C5), warm-up (500 steps, as Swin's own),
ImageNet weights (1K), how often the switch decides (as CoLAD), what losses are divided by (sums over the batch).
"""

from ml_collections import ConfigDict

from configs import colad_x101dcncop_r50p3x_ms_2x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.SWIN_B, "3x", method="dynamic_lad")
    paper.set_teacher(config, colad_x101dcncop_r50p3x_ms_2x)
    paper.set_swin_recipe(config)
    return config
