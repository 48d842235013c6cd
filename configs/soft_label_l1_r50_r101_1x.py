"""Soft labels, L1: ResNet-101 to ResNet-50.

    python -m lad_jax.recipe configs/soft_label_l1_r50_r101_1x.py --run
    python main.py --config=configs/soft_label_l1_r50_r101_1x.py --workdir=runs/soft_label_l1_r50_r101_1x

Teacher: configs/paa_r101_1x.py
Table 2, soft label, L1: AP 40.4 (val)

Open: the weights of the terms. Those of the released code, which has KL alone; predicted IoUs are compared by KL with
γ 0.5, boxes above an IoU of 0.1, as there.
"""

from ml_collections import ConfigDict

from configs import paa_r101_1x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R50, "1x", method="soft_label")
    paper.set_teacher(config, paa_r101_1x)
    config.soft_label.min_iou = 0.1
    config.soft_label.divergence = "l1"
    config.optimizer.warmup_steps = 3000
    return config
