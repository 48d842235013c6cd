"""The paper's results, a row each: the training of a network, and the AP that the paper has for it.

    python -m lad_jax recipe configs/paper.py:lad_r50_r101_1x --run     # with its teachers, in runs/paper_ROW
    python main.py --config=configs/paper.py:paa_r50_1x --workdir=runs/paper_paa_r50_1x
    python -m scripts.paper_tables                                      # the tables of docs/paper.md

On GPUs and TPUs add `--config.dtype=bfloat16`, after `--` where it is a recipe. docs/paper.md says what the
paper leaves open, and what was chosen.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ml_collections import ConfigDict

from lad_jax.config import to_config
from lad_jax.configs import base
from lad_jax.models import SWIN, ModelOptions, ResNetOptions
from lad_jax.options import run_name

COCO = os.environ.get("COCO", "data/coco")
"""The folder of COCO 2017 in its official layout: annotations/, train2017/, val2017/, test2017/."""

DATA = {
    "data.train.images": f"{COCO}/train2017",
    "data.train.annotations": f"{COCO}/annotations/instances_train2017.json",
    "data.val.images": f"{COCO}/val2017",
    "data.val.annotations": f"{COCO}/annotations/instances_val2017.json",
    "data.test.images": f"{COCO}/test2017",
    "data.test.annotations": f"{COCO}/annotations/image_info_test-dev2017.json",
}

R18, R50, R101 = (
    ResNetOptions(depth=depth, pretrained=f"hf://timm/resnet{depth}.tv_in1k/model.safetensors")
    for depth in (18, 50, 101)
)
X101 = replace(R101, groups=64, group_width=4, pretrained="hf://timm/resnext101_64x4d.gluon_in1k/model.safetensors")
SWIN_B = replace(SWIN["base"], pretrained="hf://timm/swin_base_patch4_window7_224.ms_in1k/model.safetensors")

BY_BACKBONE = {
    "R18": ModelOptions(backbone=R18),
    "R50": ModelOptions(backbone=R50),
    "R101": ModelOptions(backbone=R101),
    "X101": ModelOptions(backbone=X101),
    # As in the original PAA: stages 3 and 4, and the last convolution of each of the head's towers.
    "X101-DCN": ModelOptions(backbone=replace(X101, deformable_stages=(3, 4)), deformable_towers=True),
    "Swin-B": ModelOptions(backbone=SWIN_B),
}
HEADS: dict[str, dict[str, Any]] = {
    "": {},
    " IOP": {"objectness": "implicit"},
    " COP": {"objectness": "conditional"},
    " IOP without IoU": {"objectness": "implicit", "iou_branch": False},
    " COP without IoU": {"objectness": "conditional", "iou_branch": False},
}
NETWORKS = {
    name + head: replace(network, **options) for name, network in BY_BACKBONE.items() for head, options in HEADS.items()
}

TWICE = {"train.epochs": 24, "optimizer.decay_epochs": (16, 22)}
MULTI_SCALE = {"data.short_sides": tuple(range(640, 801)), "data.canvases": 5}
"""Multi-scale training of section 4.3; a fifth canvas saves a quarter of the padding."""
SCHEDULES = {
    "1x": {"train.epochs": 12, "optimizer.decay_epochs": (8, 11)},
    "2x": TWICE,
    "ms 2x": TWICE | MULTI_SCALE,
    "ms 3x": {"train.epochs": 36, "optimizer.decay_epochs": (28, 34)} | MULTI_SCALE,
    # Of Swin's detectors, whose setting section 4.4 follows: optimiser and pictures too.
    "Swin 3x": {
        "train.epochs": 36,
        "optimizer.decay_epochs": (27, 33),
        "optimizer.kind": "adamw",
        "optimizer.learning_rate": 1e-4,
        "optimizer.weight_decay": 0.05,
        "optimizer.no_decay": ("relative_position_bias_table", "norm"),
        "data.short_sides": tuple(range(480, 801, 32)),
        "data.crop": 0.5,
    },
}

PLAIN = "plain"
"""The method of PAA's rows: the student is assigned by its costs."""
RELEASED = {
    PLAIN: {"losses.normaliser_pictures": 2},
    "soft_label": {"losses.normaliser_pictures": 8, "soft_label.min_iou": 0.1},
    "lad": {"losses.normaliser_pictures": 8},
    "solad": {"losses.normaliser_pictures": 8},
    "dynamic_lad": {"losses.normaliser_pictures": 0},
    "colad": {"losses.normaliser_pictures": 4},
}
"""Settings of the released configs, by method: PAA's are mmdetection's, the others the authors'. None is released for
the dynamic switch."""
AUTHORS = {"losses.normaliser_pictures": 8}
"""Settings of PAA in the authors' code, instead of mmdetection's."""
ORIGINAL = {"losses.normaliser_pictures": 0}
"""Settings of PAA where the numbers are those of PAA's paper."""
FISHER = {"switch.criterion": "fisher"}
WARM_UP = {"optimizer.warmup_steps": 3000}
SWIN_TEACHER = "dynamic_lad_swinb_x101dcn_ms_3x"


@dataclass(frozen=True)
class Row:
    """One training of the paper."""

    method: str
    student: str
    """Name of the student in NETWORKS."""
    schedule: str
    teacher: str = ""
    """Row that trains the teacher; or its name in NETWORKS, if it starts from ImageNet."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Further changes of the recipe, by config key."""
    tables: str = ""
    """Tables of the paper that have the row, a letter each (`scripts/paper_tables.py`)."""
    val: float | None = None
    """AP of the student on val."""
    teacher_val: float | None = None
    """AP of CoLAD's teacher on val, where it is given."""
    test_dev: tuple[float, ...] = ()
    """AP, AP50, AP75, APS, APM, APL on test-dev, or AP alone."""


ROWS = {
    "paa_r18_1x": Row(PLAIN, "R18", "1x", changes=AUTHORS, tables="6A", val=35.8),
    "paa_iop_r18_1x": Row(PLAIN, "R18 IOP", "1x", changes=AUTHORS, tables="A", val=36.7),
    "paa_cop_r18_1x": Row(PLAIN, "R18 COP", "1x", changes=AUTHORS, tables="A", val=36.9),
    "paa_iop_noiou_r18_1x": Row(PLAIN, "R18 IOP without IoU", "1x", changes=AUTHORS, tables="A", val=36.6),
    "paa_cop_noiou_r18_1x": Row(PLAIN, "R18 COP without IoU", "1x", changes=AUTHORS, tables="A", val=36.9),
    "paa_r50_1x": Row(PLAIN, "R50", "1x", tables="25A", val=40.4),
    "paa_iop_r50_1x": Row(PLAIN, "R50 IOP", "1x", changes=AUTHORS, tables="A", val=41.6),
    "paa_cop_r50_1x": Row(PLAIN, "R50 COP", "1x", changes=AUTHORS, tables="A", val=41.6),
    "paa_iop_noiou_r50_1x": Row(PLAIN, "R50 IOP without IoU", "1x", changes=AUTHORS, tables="A", val=41.1),
    "paa_cop_noiou_r50_1x": Row(PLAIN, "R50 COP without IoU", "1x", changes=AUTHORS, tables="A", val=41.2),
    "paa_r50_2x": Row(PLAIN, "R50", "2x", tables="5", val=41.6),
    "paa_r50_ms_3x": Row(PLAIN, "R50", "ms 3x", tables="7", val=43.3, test_dev=(43.8,)),
    "paa_r101_1x": Row(PLAIN, "R101", "1x", tables="345", val=42.6),
    "paa_r101_2x": Row(PLAIN, "R101", "2x", tables="345", val=43.5),
    "paa_r101_ms_2x": Row(
        PLAIN, "R101", "ms 2x", changes=ORIGINAL, tables="7", test_dev=(44.8, 63.3, 48.7, 26.5, 48.8, 56.3)
    ),
    "paa_x101_ms_2x": Row(
        PLAIN, "X101", "ms 2x", changes=ORIGINAL, tables="7", test_dev=(46.6, 65.6, 50.8, 28.8, 50.4, 57.9)
    ),
    "paa_x101dcn_ms_2x": Row(
        PLAIN, "X101-DCN", "ms 2x", changes=ORIGINAL, tables="7", test_dev=(49.0, 67.8, 53.3, 30.2, 51.3, 62.2)
    ),
    "soft_label_kl0_r50_r101_1x": Row(
        "soft_label", "R50", "1x", "paa_r101_1x", {"soft_label.gamma": 0.0} | WARM_UP, tables="2", val=39.8
    ),
    "soft_label_kl05_r50_r101_1x": Row(
        "soft_label", "R50", "1x", "paa_r101_1x", {"soft_label.gamma": 0.5} | WARM_UP, tables="2", val=41.3
    ),
    "soft_label_kl2_r50_r101_1x": Row(
        "soft_label", "R50", "1x", "paa_r101_1x", {"soft_label.gamma": 2.0}, tables="2", val=39.6
    ),
    "soft_label_l1_r50_r101_1x": Row(
        "soft_label", "R50", "1x", "paa_r101_1x", {"soft_label.divergence": "l1"} | WARM_UP, tables="2", val=40.4
    ),
    "soft_label_l2_r50_r101_1x": Row(
        "soft_label", "R50", "1x", "paa_r101_1x", {"soft_label.divergence": "l2"}, tables="2", val=41.0
    ),
    "soft_label_r101_r50_1x": Row(
        "soft_label", "R101", "1x", "paa_r50_1x", {"soft_label.gamma": 0.5} | WARM_UP, tables="3", val=40.4
    ),
    "lad_r50_r101_1x": Row("lad", "R50", "1x", "paa_r101_1x", tables="2", val=41.6),
    "lad_r101_r50_1x": Row("lad", "R101", "1x", "paa_r50_1x", tables="34", val=43.3),
    "lad_r18_r50_1x": Row("lad", "R18", "1x", "paa_r50_1x", tables="6", val=36.9),
    "lad_r18_r101_1x": Row("lad", "R18", "1x", "paa_r101_1x", tables="6", val=36.8),
    "colad_r18_r50_1x": Row("colad", "R18", "1x", "R50", tables="6", val=36.5),
    "colad_r18_r101_1x": Row("colad", "R18", "1x", "R101", tables="6", val=36.6),
    "colad_r50_r101_1x": Row("colad", "R50", "1x", "R101", tables="5", val=41.3, teacher_val=43.1),
    "colad_r50_r101p1x_1x": Row("colad", "R50", "1x", "paa_r101_1x", tables="5", val=41.6, teacher_val=44.1),
    "colad_r50_r101_2x": Row("colad", "R50", "2x", "R101", tables="5", val=42.4, teacher_val=44.1),
    "colad_r101_r50p1x_1x": Row("colad", "R101", "1x", "paa_r50_1x", tables="45", val=43.3, teacher_val=42.6),
    "colad_fisher_r101_r50p1x_1x": Row("colad", "R101", "1x", "paa_r50_1x", FISHER, tables="4", val=43.4),
    "colad_r101_r50p1x_2x": Row("colad", "R101", "2x", "paa_r50_1x", tables="4", val=43.9),
    "colad_fisher_r101_r50p1x_2x": Row("colad", "R101", "2x", "paa_r50_1x", FISHER, tables="4", val=43.9),
    "colad_r101cop_r50p3x_ms_2x": Row(
        "colad", "R101 COP", "ms 2x", "paa_r50_ms_3x", tables="7", test_dev=(46.0, 64.4, 50.6, 27.9, 49.9, 57.3)
    ),
    "colad_x101cop_r50p3x_ms_2x": Row(
        "colad", "X101 COP", "ms 2x", "paa_r50_ms_3x", tables="7", test_dev=(47.5, 66.4, 52.1, 29.8, 51.0, 59.1)
    ),
    "colad_x101dcncop_r50p3x_ms_2x": Row(
        "colad", "X101-DCN COP", "ms 2x", "paa_r50_ms_3x", tables="78", test_dev=(49.2, 68.3, 54.1, 30.6, 52.8, 61.9)
    ),
    "dynamic_lad_swinb_x101dcn_ms_3x": Row(
        "dynamic_lad",
        "Swin-B",
        "Swin 3x",
        "colad_x101dcncop_r50p3x_ms_2x",
        tables="8",
        val=51.4,
        test_dev=(52.0, 71.3, 57.2, 33.8, 55.7, 65.1),
    ),
    "solad_r50_r101_1x": Row("solad", "R50", "1x", "paa_r101_1x", tables="2", val=42.4),
    "solad_r50_swinb_1x": Row(
        "solad", "R50", "1x", SWIN_TEACHER, tables="9", test_dev=(42.9, 62.2, 46.8, 25.1, 46.5, 54.0)
    ),
    "solad_r50cop_swinb_1x": Row(
        "solad", "R50 COP", "1x", SWIN_TEACHER, tables="9", test_dev=(43.7, 63.0, 48.0, 25.8, 47.5, 54.9)
    ),
    "solad_r101cop_swinb_ms_2x": Row(
        "solad", "R101 COP", "ms 2x", SWIN_TEACHER, tables="9", test_dev=(47.9, 67.1, 52.7, 29.6, 51.9, 59.6)
    ),
}


def get_config(name: str = "") -> ConfigDict:
    """The config of a row, by the recipe of the paper's section 4.1."""
    check_row(name, ROWS, "the paper", "docs/paper.md")
    return row_config(name, ROWS, "configs/paper.py", RELEASED[ROWS[name].method])


def check_row(name: str, rows: Mapping[str, Row], table: str, page: str) -> None:
    """Check that a row is there; the error names the page that lists them, and those of a name like it."""
    if name not in rows:
        near = difflib.get_close_matches(name, rows) or list(rows)[-1:]
        raise ValueError(f"{name!r} is no row of {table}: {page} lists them, such as {', '.join(near)}")


def row_config(name: str, rows: Mapping[str, Row], file: str, settings: dict[str, Any]) -> ConfigDict:
    """The config of a row.

    Args:
      name: of the row.
      rows: its table, with the teacher's row.
      file: config file that trains the rows of the table.
      settings: by config key; the schedule and the row's own changes come after them.
    """
    row = rows[name]
    config = base.get_config()
    config.method = row.method
    config.model = to_config(NETWORKS[row.student])
    if row.teacher in rows:
        config.teacher.config = f"{file}:{row.teacher}"
        config.teacher.path = f"runs/{run_name(config.teacher.config)}"
        config.teacher.model = to_config(NETWORKS[rows[row.teacher].student])
    elif row.teacher:
        config.teacher.model = to_config(NETWORKS[row.teacher])
    config.update_from_flattened_dict(DATA | settings | SCHEDULES[row.schedule] | row.changes)
    # The references report the last epoch. Of several that are evaluated the best on val would be taken.
    config.train.eval_every = config.train.epochs
    return config
