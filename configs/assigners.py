"""Other assigners than PAA by their published recipes, as far as this project's head allows; and LAD by three of them.

    python -m lad_jax recipe configs/assigners.py:lad_ota_r50_r101_1x --run    # with its teacher, in runs/assigners_ROW
    python main.py --config=configs/assigners.py:atss_r50_1x --workdir=runs/assigners_atss_r50_1x
    python -m scripts.paper_tables recipes                                     # the tables of docs/recipes.md

Schedules, pictures and backbones are those of `configs/paper.py`, and `--config.dtype=bfloat16` is for GPUs and TPUs
as there.
"""

from dataclasses import dataclass
from typing import Any

from ml_collections import ConfigDict

from lad_jax.configs import paper
from lad_jax.configs.paper import PLAIN

NO_QUALITY = {"model.iou_branch": False}
RETINANET = NO_QUALITY | {
    "model.extra_levels": "input",
    # Of each device, which has two pictures; others divide by the sums of the batch.
    "losses.normaliser_pictures": 2,
    "evaluation.postprocess.nms_iou": 0.5,
}
"""Settings of RetinaNet and what was built on it."""


@dataclass(frozen=True)
class Recipe:
    """What an assigner's publication has besides the assigner, by config key."""

    settings: dict[str, Any]
    differs: str
    """What differs from the publication still."""


RECIPES = {
    "max_iou": Recipe(
        {"assigner.name": "max_iou", "losses.box_weight": 2.0} | RETINANET,
        "RetinaNet: it has nine anchors a location and a head without norms; its box loss is L1 of the deltas",
    ),
    "atss": Recipe(
        {"assigner.name": "atss", "losses.box_weight": 2.0, "losses.quality_weight": 1.0},
        "mmdet's ATSS: it cuts class scores before they are multiplied with the centerness, not after",
    ),
    "fcos": Recipe(
        {"assigner.name": "fcos", "losses.box_weight": 1.0, "losses.quality_weight": 1.0},
        "FCOS with centre sampling and GIoU: its points lie half a stride further, and it predicts distances from them",
    ),
    "simota": Recipe(
        {"assigner.name": "simota"},
        "the assigner alone, in mmdet's form: losses are PAA's, and backbone and training not YOLOX's",
    ),
    "yolox": Recipe(
        {"assigner.name": "simota", "assigner.simota.form": "yolox", "assigner.simota.target": "iou"},
        "the assigner and its soft targets alone: class losses are of all priors, not of positives; boxes have GIoU, "
        "weighted by the targets; the IoU branch stands for the objectness; backbone and training are not YOLOX's",
    ),
    "ota": Recipe(
        {"assigner.name": "ota", "losses.box_weight": 2.0, "losses.box_weighting": "uniform"},
        "OTA: it predicts distances from points",
    ),
    "tal": Recipe(
        {"assigner.name": "tal", "losses.box_weight": 2.0} | NO_QUALITY,
        "TOOD without its head, which aligns scores and boxes, and without its first four epochs by ATSS",
    ),
    "hungarian": Recipe(
        {
            "assigner.name": "hungarian",
            "losses.class_weight": 2.0,
            "losses.box_weight": 2.0,
            "evaluation.postprocess.nms_iou": 1.0,
        }
        | NO_QUALITY,
        "Deformable DETR's matching, and no NMS, as there; the head is convolutional, and boxes have no L1 loss",
    ),
    "mal": Recipe(
        {"assigner.name": "mal", "losses.box_weight": 2.0} | RETINANET,
        "MAL's selection as its paper has it (its released code has the loss of `free_anchor`); one anchor a location, "
        "not nine; GIoU; no depression of features",
    ),
    "free_anchor": Recipe(
        {"free_anchor.bag_size": 50} | RETINANET,
        "FreeAnchor: it has nine anchors a location, so that bags reach less far, and a head without norms",
    ),
    "dynamic_soft_label": Recipe(
        {"assigner.name": "dynamic_soft_label", "losses.box_weight": 2.0} | NO_QUALITY,
        "RTMDet's assigner and losses alone: backbone, head and training, of 300 epochs, are others there",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Row(paper.Row):
    """One training by a recipe."""

    recipe: str


ROWS = {
    "max_iou_r50_1x": Row(PLAIN, "R50", "1x", recipe="max_iou"),
    "atss_r50_1x": Row(PLAIN, "R50", "1x", recipe="atss", val=39.4),
    "atss_r101_1x": Row(PLAIN, "R101", "1x", recipe="atss", val=41.5),
    "atss_r101_ms_2x": Row(PLAIN, "R101", "ms 2x", recipe="atss", test_dev=(43.6, 62.1, 47.4, 26.1, 47.0, 53.6)),
    "fcos_r50_1x": Row(PLAIN, "R50", "1x", recipe="fcos"),
    "simota_r50_1x": Row(PLAIN, "R50", "1x", recipe="simota"),
    "simota_r101_1x": Row(PLAIN, "R101", "1x", recipe="simota"),
    "yolox_r50_1x": Row(PLAIN, "R50", "1x", recipe="yolox"),
    "ota_r50_1x": Row(PLAIN, "R50", "1x", recipe="ota"),
    "ota_r101_1x": Row(PLAIN, "R101", "1x", recipe="ota"),
    "ota_r101_ms_2x": Row(PLAIN, "R101", "ms 2x", recipe="ota", test_dev=(45.3, 63.5, 49.3, 26.9, 48.8, 56.1)),
    "tal_r50_1x": Row(PLAIN, "R50", "1x", recipe="tal"),
    "tal_r101_1x": Row(PLAIN, "R101", "1x", recipe="tal"),
    "hungarian_r50_1x": Row(PLAIN, "R50", "1x", recipe="hungarian"),
    "mal_r50_1x": Row(PLAIN, "R50", "1x", recipe="mal"),
    "free_anchor_r50_1x": Row("free_anchor", "R50", "1x", recipe="free_anchor"),
    "dynamic_soft_label_r50_1x": Row(PLAIN, "R50", "1x", recipe="dynamic_soft_label"),
    "lad_simota_r50_r101_1x": Row("lad", "R50", "1x", "simota_r101_1x", recipe="simota"),
    "lad_ota_r50_r101_1x": Row("lad", "R50", "1x", "ota_r101_1x", recipe="ota"),
    "lad_tal_r50_r101_1x": Row("lad", "R50", "1x", "tal_r101_1x", recipe="tal"),
}


def get_config(name: str = "") -> ConfigDict:
    """The config of a row, whose networks are alike. No publication but PAA's has score voting."""
    paper.check_row(name, ROWS, "the other assigners", "docs/recipes.md")
    recipe = RECIPES[ROWS[name].recipe].settings
    teacher = {f"teacher.{key}": value for key, value in recipe.items() if key.startswith("model.")}
    settings = {"evaluation.postprocess.voting": False} | recipe | teacher
    return paper.row_config(name, ROWS, "configs/assigners.py", settings)
