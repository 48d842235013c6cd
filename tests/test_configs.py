"""Every config file builds, in every variant, and its docstring says how to run it."""

import ast
import importlib
import json
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import pytest

from configs import demo, small_sets, your_data, your_data_cpu
from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.config import from_config
from lad_jax.data import make_plan, open_dataset
from lad_jax.errors import InputError
from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.run.evaluate import evaluate
from lad_jax.run.train import train

ROOT = Path(__file__).parents[1]
VARIANTS = {
    "base": [()],
    "assigners": [("atss_r101_1x",), ("lad_tal_r50_r101_1x",), ("free_anchor_r50_1x",)],
    "demo": [("teacher",), ("paa",), ("lad_ota",), ("free_anchor",)],
    "coco_smoke": [()],
    "small_sets": [(), ("aquarium_cpu",), ("vehicles_openimages_narrow",), ("dsb2018_narrow_cpu",)],
    "narrow": [()],
    "paper": [("colad_x101dcncop_r50p3x_ms_2x",), ("dynamic_lad_swinb_x101dcn_ms_3x",)],
    "your_data": [(), ("some/folder",)],
    "your_data_cpu": [("some/folder",)],
}
CASES = [(name, variant) for name, variants in VARIANTS.items() for variant in variants]


def test_the_table_is_complete() -> None:
    assert VARIANTS.keys() == {file.stem for file in (ROOT / "configs").glob("[!_]*.py")}


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_config_builds(name: str, variant: tuple[str, ...]) -> None:
    """At full size, without memory: shapes only."""
    module = importlib.import_module(f"configs.{name}")
    options = from_config(RunOptions, module.get_config(*variant))
    for network in options.roles.networks:
        model = Detector(options.model_of(network), 80)
        images, hw = jnp.zeros((1, 64, 64, 3), jnp.uint8), jnp.full((1, 2), 64)
        assert jax.eval_shape(model.init, jax.random.key(0), images, hw)["params"]


@pytest.mark.parametrize("name", small_sets.SETS)
def test_an_evaluation_of_a_small_set_counts_all_of_a_pictures_objects(name: str, shared: Path) -> None:
    for kind in ("", "_cpu"):
        options = from_config(RunOptions, small_sets.get_config(name + kind))
        most = max(len(record.boxes) for record in open_dataset(options.data, "val").records)
        postprocess = options.evaluation.postprocess
        assert most <= postprocess.max_detections <= postprocess.pre_nms, most


@pytest.mark.parametrize("config", [your_data, your_data_cpu], ids=["gpu", "cpu"])
def test_your_pictures_without_objects_are_trained_on(config: ModuleType, tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 40} for i in range(3)]
    annotations = [{"id": 7, "image_id": 1, "category_id": 2, "bbox": [1, 1, 9, 9], "area": 81}]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 2, "name": "seal"}]}
    (tmp_path / "train.json").write_text(json.dumps(content))
    for image in images:
        (tmp_path / image["file_name"]).touch()
    options = from_config(RunOptions, config.get_config(str(tmp_path))).data
    plan = make_plan(open_dataset(options, "train"), options, batch_size=1, seed=0)
    assert plan.steps_per_epoch == 3


@pytest.mark.parametrize("third", ["valid", "val", "test"])
def test_your_folder_may_be_as_roboflow_exports_it(third: str, tmp_path: Path) -> None:
    """With a category that all others are of, and has no object."""
    categories = [{"id": 0, "name": "animals", "supercategory": "none"}, {"id": 1, "name": "seal"}]
    for number, name in enumerate(("train", third)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{number}.jpg").touch()
        images = [{"id": 0, "file_name": f"{number}.jpg", "width": 40, "height": 40}]
        annotations = [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (tmp_path / name / "_annotations.coco.json").write_text(json.dumps(content))
    options = from_config(RunOptions, your_data.get_config(str(tmp_path))).data
    for number, split in enumerate(("train", "val")):
        dataset = open_dataset(options, split)
        assert dataset.records[0].file_name == f"{number}.jpg" and dataset.class_names == ("animals", "seal")
        assert dataset.records[0].labels.tolist() == [1]


@pytest.mark.parametrize("variant", demo.VARIANTS)
def test_variant_of_the_demo_builds(variant: str) -> None:
    """Or the options say why that method and that assigner do not go together."""
    method, assigner = demo.VARIANTS[variant]
    if method in ("lad", "dynamic_lad", "colad") and make_assigner(AssignerOptions(assigner)).static:
        with pytest.raises(InputError, match=f"'{assigner}' assigns by boxes alone"):
            from_config(RunOptions, demo.get_config(variant))
    else:
        from_config(RunOptions, demo.get_config(variant))


@pytest.mark.parametrize(
    ("variant", "method", "assigner", "depth"),
    [
        ("paa", "plain", "paa", 10),
        ("teacher", "plain", "paa", 18),
        ("teacher_ota", "plain", "ota", 18),
        ("lad_dynamic_soft_label", "lad", "dynamic_soft_label", 10),
        ("dynamic_lad_max_iou", "dynamic_lad", "max_iou", 10),
        ("soft_label", "soft_label", "paa", 10),
    ],
)
def test_names_of_the_demos_variants(variant: str, method: str, assigner: str, depth: int) -> None:
    config = demo.get_config(variant)
    assert (config.method, config.assigner.name, config.model.backbone.depth) == (method, assigner, depth)


def test_unknown_variant_of_the_demo() -> None:
    with pytest.raises(ValueError, match=r"'free_anchor_ota'; allowed: .*teacher.*dynamic_soft_label.*such as lad_ota"):
        demo.get_config("free_anchor_ota")


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - {"base"}))
def test_docstring_gives_the_command(name: str) -> None:
    text = ast.get_docstring(ast.parse((ROOT / "configs" / f"{name}.py").read_text()))
    assert f"python main.py --config=configs/{name}.py" in text and "--workdir=" in text


@pytest.mark.slow
def test_coco_smoke(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Two steps and an evaluation on real pictures: 80 classes, crowd regions, ids with gaps."""
    config = importlib.import_module("configs.coco_smoke").get_config()
    for split in ("train", "val"):
        config.data[split].images = str(shared / f"data/coco/{split}2017")
        config.data[split].annotations = str(shared / f"data/coco/annotations/instances_{split}2017.json")
    config.mesh.data = 1
    config.data.short_side, config.data.long_side, config.data.canvases = 96, 128, 1
    config.model.backbone.width, config.model.channels, config.model.norm_groups = 8, 16, 4
    config.model.first_level, config.model.n_levels, config.model.anchor_scale = 4, 2, 2.0
    options = from_config(RunOptions, config)
    train(options, tmp_path)
    assert len((tmp_path / "images.jsonl").read_text().splitlines()) == 2
    assert "config.optimizer.warmup_steps is 50, but the run has 2 steps" in caplog.text
    evaluate(options, tmp_path)
    assert "teddy bear" in capsys.readouterr().out
