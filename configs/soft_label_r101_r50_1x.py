"""Soft labels, KL with γ 0.5: ResNet-50 to ResNet-101.

    python -m lad_jax.recipe configs/soft_label_r101_r50_1x.py --run
    python main.py --config=configs/soft_label_r101_r50_1x.py --workdir=runs/soft_label_r101_r50_1x

Teacher: configs/paa_r50_1x.py
Table 3, soft label: AP 40.4 (val)

Open: divergence, weights and warm-up. As released, boxes compared above an IoU of 0.1, with the warm-up of Table 2.
"""

from ml_collections import ConfigDict

from configs import paa_r50_1x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R101, "1x", method="soft_label")
    paper.set_teacher(config, paa_r50_1x)
    config.soft_label.min_iou = 0.1
    config.soft_label.gamma = 0.5
    config.optimizer.warmup_steps = 3000
    return config
