"""Every config file builds, in every variant, and its docstring says how to run it."""

import ast
import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from configs import demo
from lad_jax.config import from_config
from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.run.evaluate import evaluate
from lad_jax.run.train import train

ROOT = Path(__file__).parents[1]
VARIANTS = {
    "base": [()],
    "demo": [(variant,) for variant in demo.VARIANTS],
    "coco_smoke": [()],
    "bccd_paa_r50": [(), ("cpu",)],
    "bccd_lad_r18_r50": [(), ("cpu",)],
    "narrow": [()],
    "paper": [("colad_x101dcncop_r50p3x_ms_2x",), ("dynamic_lad_swinb_x101dcn_ms_3x",)],
    "your_data": [(), ("some/folder",)],
    "your_data_cpu": [("some/folder",)],
}
CASES = [(name, variant) for name, variants in VARIANTS.items() for variant in variants]


def test_the_table_is_complete() -> None:
    assert VARIANTS.keys() == {file.stem for file in (ROOT / "configs").glob("*.py")}


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_config_builds(name: str, variant: tuple[str, ...]) -> None:
    """At full size, without memory: shapes only."""
    module = importlib.import_module(f"configs.{name}")
    options = from_config(RunOptions, module.get_config(*variant))
    for network in options.roles.networks:
        model = Detector(options.model_of(network), 80)
        images, hw = jnp.zeros((1, 64, 64, 3), jnp.uint8), jnp.full((1, 2), 64)
        assert jax.eval_shape(model.init, jax.random.key(0), images, hw)["params"]


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - {"base"}))
def test_docstring_gives_the_command(name: str) -> None:
    text = ast.get_docstring(ast.parse((ROOT / "configs" / f"{name}.py").read_text()))
    assert f"python main.py --config=configs/{name}.py" in text and "--workdir=" in text


def test_coco_smoke(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Two steps and an evaluation on real pictures: 80 classes, crowd regions, ids with gaps."""
    config = importlib.import_module("configs.coco_smoke").get_config()
    for split in ("train", "val"):
        config.data[split].images = str(shared / f"data/coco/{split}2017")
        config.data[split].annotations = str(shared / f"data/coco/annotations/instances_{split}2017.json")
    config.mesh.data = 1
    config.data.short_side, config.data.long_side = 96, 128
    config.model.backbone.width, config.model.channels, config.model.norm_groups = 8, 16, 4
    config.model.first_level, config.model.n_levels, config.model.anchor_scale = 4, 2, 2.0
    options = from_config(RunOptions, config)
    train(options, tmp_path)
    assert len((tmp_path / "images.jsonl").read_text().splitlines()) == 2
    assert "config.optimizer.warmup_steps is 50, but the run has 2 steps" in caplog.text
    evaluate(options, tmp_path)
    assert "teddy bear" in capsys.readouterr().out
