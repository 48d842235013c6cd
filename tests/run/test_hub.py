"""Networks to a hub on this machine and back: the same detections, and nothing of this machine in between."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import jax
import numpy as np
import pytest
import safetensors.numpy

import lad_jax
from lad_jax.errors import InputError
from lad_jax.run import checkpoint
from lad_jax.run.hub import CARD, DESCRIPTION, WEIGHTS, fetch
from lad_jax.run.meta import as_json
from lad_jax.run.push import push, without_paths
from tests.run.tiny import tiny
from tests.weights.hub import Hub, serve

NAME = "someone/a-detector"


@pytest.fixture
def files() -> dict[str, bytes]:
    """What the hub has."""
    return {}


@pytest.fixture
def hub(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve(files) as hub:
        monkeypatch.setenv("HF_TOKEN", "hf_of_someone")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "ours"))
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "theirs"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield hub


def test_there_and_back(paa_workdir: Path, hub: Hub, files: dict[str, bytes]) -> None:
    address = push(paa_workdir, NAME)
    assert address == f"{hub.url}/{NAME}" and set(files) == {f"{NAME}/{name}" for name in (WEIGHTS, CARD)}
    folder = fetch(f"hf://{NAME}", "the source")
    before, after = lad_jax.load(paa_workdir), lad_jax.load(f"hf://{NAME}")
    jax.tree.map(np.testing.assert_array_equal, after.variables, before.variables)
    assert (after.class_names, after.category_ids) == (before.class_names, before.category_ids)
    assert after.options.evaluation == before.options.evaluation and after.model == before.model
    asked = len(hub.requests)
    assert fetch(f"hf://{NAME}", "the source") == folder and len(hub.requests) == asked, "it is in the cache"


def test_the_card_has_the_numbers_of_the_checkpoint(paa_workdir: Path, hub: Hub, files: dict[str, bytes]) -> None:
    push(paa_workdir, NAME)
    text, step = files[f"{NAME}/{CARD}"].decode(), checkpoint.find(paa_workdir).name
    lines = map(json.loads, (paa_workdir / "metrics.jsonl").read_text().splitlines())
    [found] = [line["evaluation"] for line in lines if "evaluation" in line and str(line["step"]) == step]
    for name, value in found["student"].items():
        assert (f"| {name} | {100 * value:.1f} |" in text) if value is not None else f"| {name} |" not in text
    for name in lad_jax.load(paa_workdir).class_names:
        assert name in text
    assert f'lad_jax.load("hf://{NAME}")' in text


def test_nothing_of_this_machine_is_written(
    paa_workdir: Path, hub: Hub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = checkpoint.read_meta
    options = lad_jax.load(paa_workdir).options
    backbone = dataclasses.replace(options.model.backbone, pretrained="/home/me/weights.npz")
    secret = dataclasses.replace(
        options,
        model=dataclasses.replace(options.model, backbone=backbone),
        data=dataclasses.replace(options.data, train=dataclasses.replace(options.data.train, images="/home/me/photos")),
    )
    meta = dataclasses.replace(
        there(checkpoint.find(paa_workdir)), config=json.loads(json.dumps(dataclasses.asdict(secret)))
    )
    monkeypatch.setattr(checkpoint, "read_meta", lambda _: meta)
    push(paa_workdir, NAME)
    assert not any(b"/home/me" in content for content in files.values())


def test_nor_where_this_machine_has_its_teachers() -> None:
    secret = tiny(method="colad", teacher__path="/home/me/teacher", teacher__config="/home/me/teacher.py")
    assert "/home/me" not in json.dumps(as_json(without_paths(secret)))


def test_what_the_hub_refuses(paa_workdir: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"someone/with space could not be written: `hf auth login`.*Reason: HFVal"):
        push(paa_workdir, "someone/with space")
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(InputError, match=f"{NAME} could not be written: `hf auth login` says who you are"):
        push(paa_workdir, NAME)
    with pytest.raises(InputError, match="no checkpoint"):
        push(tmp_path, NAME)


@pytest.mark.parametrize("said", [None, {}, {DESCRIPTION: "{"}, {DESCRIPTION: "[]"}, {DESCRIPTION: "{}"}])
def test_a_repository_of_something_else(
    said: dict[str, str] | None, hub: Hub, files: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"the hub has no repository {NAME}"):
        fetch(f"hf://{NAME}", "the source")
    files[f"timm/backbone/{WEIGHTS}"] = safetensors.numpy.save({"conv1": np.zeros(3)}, said)
    with pytest.raises(InputError, match=r"its model\.safetensors is no detector that lad_jax has written"):
        fetch("hf://timm/backbone", "the source")
    assert not list(tmp_path.glob("ours/lad_jax/hub/*/checkpoints")), "nothing of it is kept"


def test_one_of_another_version(hub: Hub, files: dict[str, bytes]) -> None:
    said = {DESCRIPTION: json.dumps({"network": "student", "config": {}})}
    files[f"timm/backbone/{WEIGHTS}"] = safetensors.numpy.save({"conv1": np.zeros(3)}, said)
    with pytest.raises(InputError, match="was written by another version of lad_jax"):
        fetch("hf://timm/backbone", "the source")
