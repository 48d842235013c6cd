"""Where a trained network comes from: folders, and the zoo, whose files are small ones of a server here."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

import lad_jax
from lad_jax.commands.convert import into_mmdet
from lad_jax.data.categories import COCO
from lad_jax.errors import InputError
from lad_jax.models import Detector
from lad_jax.options import TeacherOptions
from lad_jax.run import checkpoint, hub, sources, start
from lad_jax.run.converted import save_converted
from lad_jax.run.networks import make_networks
from lad_jax.run.sources import check_source, local_checkpoint
from lad_jax.train.state import init_variables
from lad_jax.weights import load_arrays, save_arrays, to_mmdet, zoo
from lad_jax.weights.zoo import Published
from scripts import verify_zoo
from tests.run.tiny import tiny
from tests.weights.web import Web, serve

CONFIG = """
from lad_jax.config import to_config
from tests.run.tiny import tiny

def get_config():
    return to_config(tiny(model__backbone__depth={depth}))
"""
KEY = "config.teacher.path"
VARIABLES = jax.tree.map(np.asarray, init_variables(Detector(tiny().model, len(COCO)), seed=3))


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory, torch: Any) -> bytes:
    """A file as mmdetection's programs write it."""
    file = tmp_path_factory.mktemp("mmdet") / "w.pth"
    save_arrays(file, to_mmdet(VARIABLES), tuple(COCO))
    return file.read_bytes()


@pytest.fixture
def web(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server of the only file of a zoo with `tiny`, and with `deep`, which the file does not fit."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file, entries = f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth", {}
    with serve({file: content}) as running:
        for name, depth in (("tiny", 10), ("deep", 18)):
            (tmp_path / f"{name}.py").write_text(CONFIG.format(depth=depth))
            entries[name] = Published(str(tmp_path / f"{name}.py"), 1.5, f"{running.url}/{file}")
        monkeypatch.setattr(zoo, "ZOO", entries)
        yield running


@pytest.fixture(scope="module")
def converted(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo's cache with the converted network in it, and nothing else."""
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "w.pth").write_bytes(content)
    save_converted(str(folder / "w.pth"), tiny(), folder / "tiny", tuple(COCO), tuple(COCO.values()))
    return folder


@pytest.fixture
def ready(web: Web, converted: Path, tmp_path: Path) -> Iterator[None]:
    """The network is in the cache; nothing is fetched."""
    shutil.copytree(converted, tmp_path / "lad_jax" / "zoo")
    yield
    assert not web.requests


def cache(tmp_path: Path) -> set[str]:
    """Names in the zoo's cache, without locks."""
    return {file.name for file in (tmp_path / "lad_jax" / "zoo").iterdir() if file.suffix != ".lock"}


def test_fetched_and_converted_once(web: Web, tmp_path: Path) -> None:
    trained = lad_jax.load("zoo:tiny")
    assert checkpoint.digest(trained.variables) == checkpoint.digest(VARIABLES)
    assert (trained.class_names, trained.category_ids) == (tuple(COCO), tuple(COCO.values()))
    assert trained.options == tiny()
    assert cache(tmp_path) == {"tiny", *web.requests}
    file = tmp_path / "lad_jax" / "zoo" / web.requests[0]
    file.unlink()  # no longer needed
    assert local_checkpoint("zoo:tiny", KEY) == tmp_path / "lad_jax" / "zoo" / "tiny" / "checkpoints" / "0"
    assert len(web.requests) == 1


def test_converted_anew_where_another_version_has_done_it(web: Web) -> None:
    folder = local_checkpoint("zoo:tiny", KEY)
    meta = folder / "meta" / "metadata"
    meta.write_text(meta.read_text().replace('"method"', '"methods"'))
    assert local_checkpoint("zoo:tiny", KEY) == folder
    assert lad_jax.load(folder).options == tiny()
    assert len(web.requests) == 1, "its file is kept"


def test_another_networks_file(web: Web, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^zoo:deep does not fit.*\n.*set config\.model\.backbone\.depth=10"):
        local_checkpoint("zoo:deep", KEY)
    assert cache(tmp_path) == set(web.requests), "nothing of it is left"


def test_it_is_a_teacher_and_a_peer(ready: None) -> None:
    dataset: Any = SimpleNamespace(class_names=tuple(COCO))
    origin, digest = TeacherOptions(path="zoo:tiny", model=tiny().model), checkpoint.digest(VARIABLES)
    frozen = make_networks(tiny(method="lad", teacher__path="zoo:tiny"), dataset, resuming=False)
    assert frozen.teacher == {"path": "zoo:tiny", "digest": digest}
    cohort = make_networks(replace(tiny(method="colad"), teacher=origin, peers=(origin,)), dataset, resuming=False)
    digests = {name: checkpoint.digest(variables) for name, variables in cohort.trained.items()}
    assert digests["teacher"] == digests["peer_1"] == digest != digests["student"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("zoo:tin", r"^config\.teacher\.path is 'zoo:tin'.*`python -m lad_jax zoo` lists it\.$"),
        ("hf://no/such/thing.npy", r"^thing\.npy has the suffix '\.npy'; known: .*\.$"),
    ],
)
def test_no_recipe_trains_what_is_to_be_fetched(source: str, message: str, web: Web) -> None:
    dataset: Any = SimpleNamespace(class_names=tuple(COCO))
    options = tiny(method="lad", teacher__path=source, teacher__config="demo:teacher")
    with pytest.raises(InputError, match=message) as caught:
        make_networks(options, dataset, resuming=False)
    assert "It is trained by" not in str(caught.value)


def test_one_of_several_processes_does_not_fetch(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "jax", SimpleNamespace(process_count=lambda: 2))
    with pytest.raises(InputError, match=r"zoo:tiny is not in the cache of this host.* `python -m lad_jax zoo tiny`"):
        local_checkpoint("zoo:tiny", KEY)
    assert not web.requests


def test_one_of_several_processes_does_not_convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "resolve", lambda *_: SimpleNamespace(sha256="0" * 64, path=tmp_path / "absent"))
    monkeypatch.setattr(hub, "jax", SimpleNamespace(process_count=lambda: 2))
    with pytest.raises(InputError, match=r"hf://me/x is not in the cache of this host.*lad_jax\.load\('hf://me/x'\)"):
        local_checkpoint("hf://me/x", KEY)


def test_several_processes_read_the_cache(ready: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "jax", SimpleNamespace(process_count=lambda: 2))
    local_checkpoint("zoo:tiny", KEY)


def test_it_is_written_for_mmdet(ready: None, tmp_path: Path) -> None:
    into_mmdet("zoo:tiny", tmp_path / "back.safetensors")
    expected = to_mmdet(VARIABLES)
    back = load_arrays(tmp_path / "back.safetensors")
    assert set(back) == set(expected)
    for name, array in back.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize(
    ("source", "folder"),
    [("zoo:tiny", "predictions"), ("hf://me/x", "predictions"), ("runs/a", "runs/a/predictions")],
)
def test_where_predictions_go(source: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never into the cache."""
    given: list[Any] = []
    monkeypatch.setattr(start, "predict", lambda *arguments: given.append(arguments))
    start.start_prediction(None, source, ["a.png"], None, None)
    start.start_prediction(None, source, ["a.png"], Path("out"), None)
    assert [(arguments[1], arguments[3]) for arguments in given] == [(source, Path(folder)), (source, Path("out"))]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("zoo:tin", r"^config\.teacher\.path is 'zoo:tin', which is not in the zoo\. Did you mean zoo:tiny\?"),
        ("gs://bucket/run", r"^config\.teacher\.path is 'gs://bucket/run', but only paths of the file system"),
        ("", r"^config\.teacher\.path is empty"),
        ("runs/none", r"^no checkpoint in runs/none"),
    ],
)
def test_what_is_no_source(source: str, message: str, web: Web) -> None:
    with pytest.raises(InputError, match=message):
        local_checkpoint(source, KEY)
    if source.startswith(("zoo:", "runs")):  # what is left has been refused where the options were made
        with pytest.raises(InputError, match=message):
            check_source(source, KEY)
    assert not web.requests


def test_a_check_fetches_nothing(web: Web) -> None:
    check_source("zoo:tiny", KEY)
    assert not web.requests


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "5" / "variables").mkdir(parents=True)
    assert local_checkpoint("~/5", KEY) == tmp_path / "5"


def test_the_script_that_verifies_them(ready: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is measured once, by its config; one that fails does not hinder the others."""
    measured: list[Path] = []

    def evaluate(options: Any, workdir: Path) -> None:
        assert options == tiny() and checkpoint.find(workdir).resolve() == local_checkpoint("zoo:tiny", KEY)
        measured.append(workdir)
        (workdir / "metrics.json").write_text('{"student": {"overall": {"AP": 0.0123}}}')

    lost = Published(zoo.ZOO["tiny"].config, 1.5, "http://127.0.0.1:9/lost-00000000.pth")
    monkeypatch.setitem(zoo.ZOO, "lost", lost)
    monkeypatch.setattr(verify_zoo, "ZOO", zoo.ZOO)
    monkeypatch.setattr(verify_zoo, "evaluate", evaluate)
    for _ in range(2):
        table = verify_zoo.verify(["lost", "tiny"], tmp_path / "out", [])
        assert table.splitlines()[2:] == ["| `zoo:lost` | 1.5 | – | – |", "| `zoo:tiny` | 1.5 | 1.2 | -0.3 |"]
        assert (tmp_path / "out" / "table.md").read_text() == table
    assert measured == [tmp_path / "out" / "tiny"]
