"""Training that starts from a detector: with the same, other or permuted classes, from a run or a file."""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.data import open_dataset
from lad_jax.data.synthetic import SyntheticShapes
from lad_jax.errors import InputError
from lad_jax.models import Detector
from lad_jax.run import checkpoint, saving
from lad_jax.run.meta import Meta, as_json
from lad_jax.run.networks import make_networks
from lad_jax.run.starting_weights import check_frozen, starting_weights
from lad_jax.run.train import train
from lad_jax.train.state import Variables, init_variables
from lad_jax.types import Predictions
from lad_jax.weights import save_arrays, to_mmdet
from tests.networks import CANVAS, noise, varied
from tests.run.tiny import tiny

CLASSES = ("cat", "dog", "cow")
OTHERS = ("bee", "cow", "ant", "cat")


def detector(n_classes: int, **changes: Any) -> Detector:
    return Detector(replace(tiny().model, **changes), n_classes)


def start(source: Path, classes: Sequence[str], **changes: Any) -> Variables:
    """Variables that the tiny network starts from."""
    return starting_weights(detector(len(classes), pretrained=str(source), **changes), classes, 5, "config.model")[0]


def predict(variables: Variables, n_classes: int) -> Predictions:
    images, image_hw = jnp.asarray(noise(1)), jnp.asarray([CANVAS])
    return jax.jit(detector(n_classes).apply)(variables, images, image_hw)


def classifier(variables: Variables) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf) for name, leaf in variables["params"]["bbox_head"]["atss_cls"].items()}


def without_classifier(variables: Variables) -> str:
    head = {name: leaf for name, leaf in variables["params"]["bbox_head"].items() if name != "atss_cls"}
    return checkpoint.digest({**variables, "params": {**variables["params"], "bbox_head": head}})


@pytest.fixture(scope="module")
def trained() -> Variables:
    return jax.tree.map(np.asarray, varied(detector(len(CLASSES)), 3))


@pytest.fixture(scope="module")
def source(trained: Variables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workdir with that detector."""
    workdir = tmp_path_factory.mktemp("source")
    saving.save_weights(workdir, {"student": trained}, Meta(as_json(tiny()), CLASSES, (1, 2, 3), "", {}))
    return workdir


@pytest.fixture(scope="module")
def file(trained: Variables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict with that detector."""
    path = tmp_path_factory.mktemp("file") / "detector.safetensors"
    save_arrays(path, to_mmdet(trained), CLASSES)
    return path


def test_with_the_same_classes_everything_is_taken(source: Path, trained: Variables) -> None:
    for path in (source, checkpoint.find(source)):
        assert checkpoint.digest(start(path, CLASSES)) == checkpoint.digest(trained)


def test_with_other_classes_all_but_the_classifier_is_taken(source: Path, trained: Variables) -> None:
    ours, fresh = start(source, OTHERS), init_variables(detector(4), 5)
    assert without_classifier(ours) == without_classifier(trained)
    jax.tree.map(np.testing.assert_array_equal, classifier(ours), classifier(fresh))
    before, after = predict(trained, 3), predict(ours, 4)
    np.testing.assert_array_equal(after.boxes, before.boxes)
    np.testing.assert_array_equal(after.quality_logit, before.quality_logit)
    np.testing.assert_allclose(np.exp(after.class_log_p).mean(), 0.01, rtol=0.2)  # as before any training


@pytest.mark.parametrize(
    ("classes", "keep", "of"),
    [
        (("cow", "cat", "dog"), False, [2, 0, 1]),
        (("cow", "cat", "dog"), True, [2, 0, 1]),
        (OTHERS, True, [-1, 2, -1, 0]),
    ],
)
def test_a_class_scores_as_before_wherever_it_stands(classes, keep, of, source: Path, trained: Variables) -> None:
    ours = start(source, classes, keep_classes=keep)
    before, after = predict(trained, 3), predict(ours, len(classes))
    np.testing.assert_array_equal(after.boxes, before.boxes)
    fresh = classifier(init_variables(detector(len(classes)), 5))
    for i, number in enumerate(of):
        if number >= 0:
            np.testing.assert_allclose(after.class_log_p[..., i], before.class_log_p[..., number], rtol=1e-5)
        else:
            for name, leaf in classifier(ours).items():
                np.testing.assert_array_equal(leaf[..., i], fresh[name][..., i])


def test_of_a_file_all_but_the_classifier_is_taken(file: Path, trained: Variables, tmp_path: Path) -> None:
    """Its classes have no names. What it holds of a teacher too is left out."""
    arrays = to_mmdet(trained)
    both = tmp_path / "lad.npz"
    save_arrays(both, arrays | {f"teacher_{name}": array + 1 for name, array in arrays.items()}, ())
    for path in (file, both):
        ours = start(path, CLASSES)
        assert without_classifier(ours) == without_classifier(trained)
        jax.tree.map(np.testing.assert_array_equal, classifier(ours), classifier(init_variables(detector(3), 5)))


def test_the_log_says_what_was_taken(source: Path, caplog: pytest.LogCaptureFixture) -> None:
    a_class = 9 * tiny().model.channels + 1
    with caplog.at_level(logging.INFO):
        neck = sum(leaf.size for leaf in jax.tree.leaves(start(source, OTHERS)["params"]["neck"]))
        start(source, OTHERS, keep_classes=True)
    taken, anew, hint, *kept = [record.message for record in caplog.records if record.message.startswith("config.")]
    assert re.fullmatch(
        rf"config\.model: taken from {source}.*: backbone \(\d+ parameters\), head .*, neck \({neck} .*\)", taken
    )
    assert anew == f"config.model: anew: classifier of 4 classes: bee, cow, ant, cat ({4 * a_class} parameters)"
    assert "that has cow, cat too: config.model.keep_classes=True would keep" in hint
    assert kept[0] == f"{taken}, classifier of 2 classes: cow, cat ({2 * a_class} parameters)"
    assert kept[1] == f"config.model: anew: classifier of 2 classes: bee, ant ({2 * a_class} parameters)"


def test_a_run_that_goes_on_does_not_read_the_source(tmp_path: Path) -> None:
    options = tiny(model__pretrained=str(tmp_path / "moved"))
    assert make_networks(options, open_dataset(options.data, "train"), resuming=True).pretrained == {}


def test_students_teachers_and_peers_alike(source: Path) -> None:
    options = tiny(method="colad", teacher__model__pretrained=str(source), model__pretrained=str(source))
    peer = replace(options.teacher, model=replace(options.model, pretrained=str(source)))
    options = replace(options, peers=(peer,))
    networks = make_networks(options, open_dataset(options.data, "train"), resuming=False)
    assert len({without_classifier(variables) for variables in networks.trained.values()}) == 1
    assert [set(origin) for origin in networks.pretrained.values()] == [{"source", "digest"}] * 3


BARE = {"conv1.weight": np.zeros((8, 3, 7, 7), np.float32)}
YOLO = {"model.0.conv.weight": np.zeros((16, 3, 3, 3), np.float32)}
OTHER_HEAD = {"backbone.conv1.weight": BARE["conv1.weight"], "bbox_head.retina_cls.weight": np.zeros((9, 4, 3, 3))}


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("none", None, r"no checkpoint in .*none"),
        ("none.npz", None, r"weights not found: .*none\.npz. Check config\.model\.pretrained"),
        ("w.onnx", b"x", r"w\.onnx has the suffix '\.onnx'; known: \.npz"),
        ("w.npz", b"x", r"w\.npz is not a readable"),
        ("w.npz", BARE, r"no bbox_head.*, but conv1\.weight.*go to config\.model\.backbone\.pretrained"),
        ("w.npz", YOLO, r"w\.npz holds no detector to start from: it has no bbox_head.*but model\.0\.conv\.weight\."),
        ("w.npz", OTHER_HEAD, r"holds no detector to start from: it has no bbox_head\.atss_cls\.weight"),
    ],
)
def test_sources_that_are_no_detector(name: str, arrays: Any, message: str, tmp_path: Path) -> None:
    if isinstance(arrays, bytes):
        (tmp_path / name).write_bytes(arrays)
    elif arrays:
        save_arrays(tmp_path / name, arrays, ())
    with pytest.raises(InputError, match=message):
        start(tmp_path / name, CLASSES)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"channels": 32}, r"channels"),
        ({"tower_convs": 2}, r"tower_convs"),
        ({"backbone": replace(tiny().model.backbone, width=16)}, r"backbone\.width"),
    ],
)
def test_another_architecture_names_the_keys(changes: dict[str, Any], key: str, source: Path, file: Path) -> None:
    with pytest.raises(InputError, match=rf"is another than the config's.*\n  config\.model\.{key}: checkpoint "):
        start(source, OTHERS, **changes)
    with pytest.raises(InputError, match=rf"does not fit the config.*\n(.*\n)*  set config\.model\.{key}="):
        start(file, OTHERS, **changes)


def test_keys_that_shapes_do_not_show(source: Path) -> None:
    with pytest.raises(InputError, match=r"config\.model\.channel_order: checkpoint 'rgb', config 'bgr'"):
        start(source, CLASSES, channel_order="bgr")


def test_anchors_of_another_size_are_no_hindrance(
    source: Path, trained: Variables, caplog: pytest.LogCaptureFixture
) -> None:
    scale = tiny().model.anchor_scale
    assert checkpoint.digest(start(source, CLASSES, anchor_scale=scale / 2)) == checkpoint.digest(trained)
    warning = f"config.model.anchor_scale: {scale} in {source}, here {scale / 2}: sizes of boxes are to be learnt again"
    assert warning in [record.message for record in caplog.records]
    caplog.clear()
    start(source, CLASSES)
    assert not any("anchor_scale" in record.message for record in caplog.records)


def test_no_class_to_keep(source: Path, file: Path) -> None:
    with pytest.raises(InputError, match=r"none of the data's 2 classes \(car, bus\).*the 3 of .*\(cat, dog, cow\)"):
        start(source, ("car", "bus"), keep_classes=True)
    with pytest.raises(InputError, match=r"does not name its classes.*lad_jax convert.*--classes"):
        start(file, CLASSES, keep_classes=True)


def test_a_backbone_that_is_a_detector(file: Path) -> None:
    options = replace(tiny().model.backbone, pretrained=str(file))
    with pytest.raises(InputError, match=r"is a detector, .*set config\.model\.pretrained"):
        starting_weights(detector(3, backbone=options), CLASSES, 5, "config.model")


def test_the_workdir_of_the_run_itself(source: Path) -> None:
    for path in (source, checkpoint.find(source), source / ".." / source.name):
        with pytest.raises(InputError, match=r"config\.model\.pretrained is .*, the workdir of this run itself"):
            train(tiny(model__pretrained=str(path)), source)


FROZEN = {
    "stages": (
        {"model__backbone__frozen_stages": 0},
        r"model\.backbone\.frozen_stages is 0, but the backbone of config",
    ),
    "teacher": (
        {"method": "colad", "teacher__model__backbone__frozen_stages": 2},
        r"teacher\.model\.backbone\.frozen_stages is 2, .*by config\.teacher\.model\.pretrained or .*frozen_stages=-1",
    ),
    "backbone": ({"optimizer__lr_factors__backbone": 0.0}, r"lr_factors\.backbone is 0, .*lr_factors\.backbone=1"),
    "neck": (
        {"optimizer__lr_factors__neck": 0.0, "model__backbone__pretrained": "some.npz"},
        r"lr_factors\.neck is 0, but the neck of config\.model .* by config\.model\.pretrained, or train it",
    ),
}


@pytest.mark.parametrize("name", FROZEN)
def test_nothing_random_is_frozen(name: str) -> None:
    """Unless its weights are from somewhere."""
    changes, message = FROZEN[name]
    with pytest.raises(InputError, match=message):
        check_frozen(tiny(**changes))
    check_frozen(tiny(**changes, model__pretrained="runs/cells", teacher__model__pretrained="runs/cells"))
    if name not in ("neck", "teacher"):
        check_frozen(tiny(**changes, model__backbone__pretrained="some.npz"))


def test_options_that_contradict_each_other() -> None:
    with pytest.raises(InputError, match=r"teacher\.path is 'a' and teacher\.model\.pretrained 'b'"):
        tiny(method="colad", teacher__path="a", teacher__model__pretrained="b")
    with pytest.raises(InputError, match=r"config\.model\.keep_classes is True, but .* names no detector"):
        starting_weights(detector(3, keep_classes=True), CLASSES, 5, "config.model")


def test_a_run_goes_on_to_other_classes_from_where_a_detector_has_ended(
    paa_workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each term of its first loss is lower than from scratch on the same pictures, a frozen backbone stays the
    detector's to the last bit, and its checkpoints name the source."""
    others = tuple(f"other {name}" for name in SyntheticShapes.class_names)
    monkeypatch.setattr(SyntheticShapes, "class_names", others)
    factors = {"optimizer__lr_factors__backbone": 0.0, "optimizer__lr_factors__neck": 0.5}
    train(tiny(model__pretrained=str(paa_workdir), train__epochs=1, evaluation__pictures=0, **factors), tmp_path)

    def first(workdir: Path) -> dict[str, float]:
        return json.loads((workdir / "metrics.jsonl").read_text().partition("\n")[0])

    scratch, ours = first(paa_workdir), first(tmp_path)
    assert all(ours[term] < scratch[term] for term in ours if "loss" in term)
    theirs, network = (checkpoint.read_variables(checkpoint.find(w), "student") for w in (paa_workdir, tmp_path))
    same = jax.tree.map(lambda a, b: bool((a == b).all()), theirs["params"], network["params"])
    assert all(jax.tree.leaves(same["backbone"]))
    assert not any(jax.tree.leaves([same["neck"], same["bbox_head"]["atss_reg"], same["bbox_head"]["atss_cls"]]))
    meta = checkpoint.read_meta(checkpoint.find(tmp_path))
    assert meta.class_names == others
    assert meta.pretrained == {"student": {"source": str(paa_workdir), "digest": checkpoint.digest(theirs)}}
