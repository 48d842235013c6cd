"""`python -m lad_jax convert`: converted weights evaluate, predict and teach as their own checkpoint would."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy

import lad_jax
from lad_jax.commands.classes import read_classes
from lad_jax.commands.convert import into_mmdet, into_workdir
from lad_jax.data import open_dataset
from lad_jax.errors import InputError
from lad_jax.models import Detector
from lad_jax.options import RunOptions, TeacherOptions
from lad_jax.run import checkpoint, saving
from lad_jax.run.evaluate import evaluate
from lad_jax.run.meta import Meta, as_json
from lad_jax.run.networks import make_networks
from lad_jax.run.predict import predict
from lad_jax.run.train import train
from lad_jax.train.state import init_variables
from lad_jax.weights import load_arrays, save_arrays, to_mmdet
from tests.golden import network
from tests.golden.network import group
from tests.run.tiny import TINY, tiny
from tests.weights.hub import serve
from tests.weights.torchvision import state_dict

ROOT = Path(__file__).parents[2]


def frozen_norm(**changes: Any) -> RunOptions:
    """A tiny run whose backbones have batch norms, as mmdet's."""
    norms = {f"{name}__backbone__norm": "frozen_batch" for name in ("model", "teacher__model")}
    return tiny(**norms, **changes)


def assert_same(ours: Mapping, theirs: Mapping) -> None:
    jax.tree.map(np.testing.assert_array_equal, dict(ours), dict(theirs))


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> Path:
    """A workdir with the random weights of a run that has not begun."""
    options = frozen_norm()
    dataset = open_dataset(options.data, "val")
    variables = jax.tree.map(np.asarray, init_variables(Detector(options.model, len(dataset.class_names)), seed=3))
    meta = Meta(as_json(options), dataset.class_names, dataset.category_ids, "", {})
    workdir = tmp_path_factory.mktemp("ours")
    saving.save_weights(workdir, {"student": variables}, meta)
    return workdir


@pytest.fixture(scope="module")
def converted(ours: Path, tmp_path_factory) -> SimpleNamespace:
    """The same weights, to mmdet and back."""
    folder = tmp_path_factory.mktemp("converted")
    into_mmdet(ours, folder / "w.safetensors")
    into_workdir(folder / "w.safetensors", frozen_norm(), folder / "run")
    return SimpleNamespace(file=folder / "w.safetensors", workdir=folder / "run")


def test_there_and_back_to_the_last_bit(ours: Path, converted: SimpleNamespace) -> None:
    expected = lad_jax.load(ours).variables
    back = lad_jax.load(converted.workdir)
    assert checkpoint.digest(back.variables) == checkpoint.digest(expected)
    assert back.options == frozen_norm()
    dataset = open_dataset(back.options.data, "val")
    assert (back.class_names, back.category_ids) == (dataset.class_names, dataset.category_ids)


def test_it_evaluates_and_predicts(ours: Path, converted: SimpleNamespace, tmp_path: Path) -> None:
    found = {}
    for workdir in (ours, converted.workdir):
        evaluate(frozen_norm(), workdir)
        found[workdir] = json.loads((workdir / "detections.json").read_text())
    assert found[ours] and found[ours] == found[converted.workdir]
    predict(frozen_norm(), converted.workdir, [str(ROOT / "docs/sample.png")], tmp_path)
    [prediction] = json.loads((tmp_path / "predictions.json").read_text())
    assert prediction["file"].endswith("sample.png")


def test_it_teaches(ours: Path, converted: SimpleNamespace) -> None:
    options = frozen_norm(method="lad", teacher__path=str(converted.workdir))
    networks = make_networks(options, open_dataset(options.data, "train"), resuming=False)
    assert_same(networks.frozen["teacher"], lad_jax.load(ours).variables)


def test_it_is_no_run_to_go_on_with(converted: SimpleNamespace) -> None:
    with pytest.raises(InputError, match=r"converted weights and no run to go on with.*config\.teacher\.path="):
        train(frozen_norm(), converted.workdir)


def test_nothing_is_overwritten(ours: Path, converted: SimpleNamespace) -> None:
    with pytest.raises(InputError, match="holds checkpoints: nothing is overwritten"):
        into_workdir(converted.file, frozen_norm(), ours)
    with pytest.raises(InputError, match=r"w\.safetensors exists: nothing is overwritten"):
        into_mmdet(ours, converted.file)


def test_a_teacher_with_nan_is_refused_by_name(ours: Path, tmp_path: Path) -> None:
    trained = lad_jax.load(ours)
    model, variables = trained.model, trained.variables
    meta = checkpoint.read_meta(checkpoint.find(ours))
    variables["params"]["neck"]["fpn_convs_0"]["bias"][3] = np.nan
    saving.save_weights(tmp_path, {"student": variables}, meta)
    with pytest.raises(InputError, match=r"NaN or infinite values in params\.neck\.fpn_convs_0\.bias\. Take another"):
        checkpoint.load_network(tmp_path, "student", model, meta.class_names, "config.teacher.model")


def test_both_networks_of_the_references_colad(golden: Path, tmp_path: Path, torch: Any) -> None:
    arrays = network.load(golden / "colad.npz")
    expected = {name: network.detector(arrays, f"{name}_weights") for name in ("student", "teacher")}
    weights = {name: group(arrays, f"{name}_weights") for name in expected}
    saved = weights["student"] | {f"teacher_{name}": a for name, a in weights["teacher"].items()}
    torch.save({"state_dict": {k: torch.from_numpy(a) for k, a in saved.items()}, "meta": {}}, tmp_path / "w.pth")
    models = {name: model for name, (model, _) in expected.items()}
    (tmp_path / "classes.txt").write_text("".join(f"thing {i}\n" for i in range(models["student"].n_classes)))
    teacher = TeacherOptions(model=models["teacher"].options)
    options = RunOptions(method="colad", model=models["student"].options, teacher=teacher)
    into_workdir(tmp_path / "w.pth", options, tmp_path / "run", str(tmp_path / "classes.txt"))

    meta = checkpoint.read_meta(checkpoint.find(tmp_path / "run"))
    assert meta.category_ids == (1, 2, 3, 4, 5, 6, 7)
    for name, (model, variables) in expected.items():
        # As evaluation and a teacher are loaded, by the network's name.
        assert_same(checkpoint.load_network(tmp_path / "run", name, model, meta.class_names, "config.model"), variables)
        into_mmdet(tmp_path / "run", tmp_path / f"{name}.pth", name)
        back = load_arrays(tmp_path / f"{name}.pth")
        counters = {key: back.pop(key) for key in list(back) if key.endswith("num_batches_tracked")}
        assert set(back) == set(weights[name])
        for key, array in weights[name].items():
            np.testing.assert_array_equal(back[key], array, err_msg=key)
        means = [key for key in back if key.endswith("running_mean")]
        assert set(counters) == {key.replace("running_mean", "num_batches_tracked") for key in means}
        assert all(a.dtype == np.int64 and a == 0 for a in counters.values())


def test_pretrained_backbone_of_a_run(tmp_path: Path) -> None:
    """Training takes the same kinds of files."""
    weights = {name: a for name, a in state_dict(width=8).items() if not name.endswith("num_batches_tracked")}
    file = tmp_path / "resnet.safetensors"
    save_arrays(file, weights, ())
    options = frozen_norm(model__backbone__depth=18, model__backbone__pretrained=str(file))
    networks = make_networks(options, open_dataset(options.data, "train"), resuming=False)
    told = {"source": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    assert networks.pretrained == {"student": told}
    ours = to_mmdet(networks.trained["student"])
    for name in [name for name in weights if not name.startswith("fc.")]:
        np.testing.assert_array_equal(ours[f"backbone.{name}"], weights[name], err_msg=name)


def test_each_network_names_its_own_key(tmp_path: Path) -> None:
    options = frozen_norm(method="colad", teacher__model__backbone__pretrained=str(tmp_path / "none.npz"))
    with pytest.raises(InputError, match=r"none\.npz. Check config\.teacher\.model\.backbone\.pretrained"):
        make_networks(options, open_dataset(options.data, "train"), resuming=False)


def test_classes_of_data_that_is_not_there(converted: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.data\.val\.images is empty.*--classes"):
        into_workdir(converted.file, frozen_norm(data__source="coco"), tmp_path / "run")


def test_other_classes_than_the_datas(converted: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(InputError, match="it has 5 classes, and 2 are given"):
        into_workdir(converted.file, frozen_norm(), tmp_path / "run", str(tmp_path / "classes.txt"))
    assert not (tmp_path / "run").exists()


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "lad_jax", "convert", *arguments]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment)


def test_command_line(tmp_path: Path) -> None:
    """A bare backbone of a hub in, and the detector around it out."""
    keys = TINY | {"model.backbone.depth": 18, "model.backbone.norm": "frozen_batch", "seed": 5}
    flags = ["--config=configs/base.py", *(f"--config.{key}={value}" for key, value in keys.items())]
    with serve({"timm/resnet18/model.safetensors": safetensors.numpy.save(state_dict(width=8))}) as hub:
        place = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0"}
        result = program("hf://timm/resnet18", *flags, f"--workdir={tmp_path / 'run'}", **place)
    assert result.returncode == 0, result.stderr
    assert "bare backbone: the pyramid and the head of the student are untrained" in result.stderr
    trained = lad_jax.load(tmp_path / "run")
    assert trained.options.model == tiny(model__backbone__depth=18, model__backbone__norm="frozen_batch").model
    fresh = init_variables(trained.model, 5)
    for part in ("neck", "bbox_head"):
        assert_same(trained.variables["params"][part], fresh["params"][part])

    result = program(str(tmp_path / "run"), "--to=mmdet", f"--output={tmp_path / 'back.safetensors'}")
    assert result.returncode == 0, result.stderr
    back = load_arrays(tmp_path / "back.safetensors")
    original = {f"backbone.{k}": a for k, a in state_dict(width=8).items() if not k.startswith("fc.")}
    assert {k for k in back if k.startswith("backbone.")} == set(original)
    for key in [k for k in original if not k.endswith("num_batches_tracked")]:
        np.testing.assert_array_equal(back[key], original[key], err_msg=key)


def test_command_line_without_a_workdir(tmp_path: Path) -> None:
    result = program(str(tmp_path / "w.npz"))
    assert result.returncode == 2
    assert "error: give one file of weights and --config and --workdir" in result.stderr


def test_a_bare_backbone_that_does_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "resnet.npz", **state_dict(width=8))
    with pytest.raises(InputError) as caught:
        into_workdir(tmp_path / "resnet.npz", frozen_norm(), tmp_path / "run")
    assert "since no name begins with `backbone.`" in str(caught.value)
    assert "set config.model.backbone.depth=18 (now 10)" in str(caught.value)
    assert "unexpected: layer1.1.conv1.weight" in str(caught.value)


class TestClasses:
    def test_coco(self, shared: Path) -> None:
        annotations = json.loads((shared / "data/coco/annotations/instances_val2017.json").read_text())
        names, ids = read_classes("coco")
        assert [(c["name"], c["id"]) for c in annotations["categories"]] == list(zip(names, ids, strict=True))

    def test_file(self, tmp_path: Path) -> None:
        (tmp_path / "names.txt").write_text("größe\nred cell \n\n", encoding="utf-8")
        assert read_classes(str(tmp_path / "names.txt")) == (("größe", "red cell"), (1, 2))

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (b"cat\ndog\ncat\n", "has names twice: cat"),
            (b"\n", "has no names"),
            (b"\xff\xfe\xff", "is not UTF-8 text"),
        ],
    )
    def test_bad_file(self, content: bytes, what: str, tmp_path: Path) -> None:
        (tmp_path / "names.txt").write_bytes(content)
        with pytest.raises(InputError, match=what):
            read_classes(str(tmp_path / "names.txt"))

    def test_no_file(self) -> None:
        with pytest.raises(InputError, match="cannot read class names from cocoa"):
            read_classes("cocoa")
