"""The zoo's table: what it was made from, the networks of its configs, and what a name gives."""

import csv
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lad_jax.commands.zoo import listing
from lad_jax.errors import InputError
from lad_jax.models.detector import IMAGENET_MEAN, IMAGENET_STD
from lad_jax.run.configs import load_options
from lad_jax.weights import zoo
from lad_jax.weights.checksums import promised_by
from lad_jax.weights.pretrained import resolve
from lad_jax.weights.zoo import ZOO, Published
from tests.weights.web import Web, serve

DOCS = Path(__file__).parents[2] / "docs"
CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = f"tiny-{SHA256[:8]}.pth"
KEY = "config.teacher.path"


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server of the zoo's only file; the cache is new."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with serve({FILE: CONTENT}) as running:
        monkeypatch.setattr(zoo, "ZOO", {"tiny": Published("base", 1.0, f"{running.url}/{FILE}")})
        yield running


def test_the_table_is_the_published_one(shared: Path) -> None:
    with (shared / "zoo.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    ours = {name: (str(row.ap), row.url, promised_by(row.file)) for name, row in ZOO.items()}
    assert ours == {n: (row["published_val_ap"], row["file"], row["sha256_begins"]) for n, row in rows.items()}


@pytest.mark.parametrize("name", ZOO)
def test_the_config_is_of_that_network(name: str) -> None:
    """Kind, depths and schedule by the name; the rest as mmdetection's configs of these files have it."""
    options = load_options(ZOO[name].config, [])
    kind = "paa" if options.method in ("plain", "lad") else options.method
    assert options.assigner.name == ("atss" if name.startswith("atss") else kind)
    assert (options.method == "lad") == name.startswith("lad")
    depths = [int(depth) for depth in re.findall(r"_r(\d+)", name)]
    networks = [options.model, options.teacher.model][: len(depths)]
    assert [model.backbone.depth for model in networks] == depths
    for model in networks:
        assert model.backbone.style == "pytorch" and model.channel_order == "rgb"
        assert (model.pixel_mean, model.pixel_std) == (IMAGENET_MEAN, IMAGENET_STD)
        assert model.iou_branch and model.objectness == "none" and model.extra_levels == "output"
    assert (options.data.short_side, options.data.long_side) == (800, 1333)
    choice = options.evaluation.postprocess
    assert (choice.nms_iou, choice.score_threshold, choice.max_detections) == (0.6, 0.05, 100)
    assert choice.voting == (not name.startswith("atss"))


def test_the_page_has_the_table() -> None:
    rows = re.findall(r"^\| `zoo:(\S+)` \| `(\S+)` \| ([\d.]+) \|", (DOCS / "zoo.md").read_text(), re.MULTILINE)
    assert rows == [(name, row.config, str(row.ap)) for name, row in ZOO.items()]


def test_fetched_once(web: Web, tmp_path: Path) -> None:
    file = resolve("zoo:tiny", KEY)
    assert file == (tmp_path / "lad_jax" / "zoo" / FILE, SHA256)
    assert resolve("zoo:tiny", KEY) == file and web.requests == [FILE]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lad_r50_r101", ["zoo:lad_r50_r101_1x"]),
        ("ladr50", ["zoo:lad_r"]),
        ("PAA_R50_1x", ["zoo:paa_r50_1x"]),
        ("//paa_r101_2x", ["zoo:paa_r101_2x"]),
        ("", ["lad_jax zoo` lists it"]),
        ("../x", ["lad_jax zoo` lists it"]),
    ],
)
def test_a_name_that_is_not_there(name: str, words: list[str]) -> None:
    with pytest.raises(
        InputError, match=rf"^config\.teacher\.path is 'zoo:{name}', which is not in the zoo\."
    ) as caught:
        zoo.fetch(f"zoo:{name}", KEY)
    assert [word for word in words if word not in str(caught.value)] == []


def test_without_a_network_a_file_can_be_put_there(web: Web, tmp_path: Path) -> None:
    web.files.clear()
    with pytest.raises(InputError) as caught:
        resolve("zoo:tiny", KEY)
    message, place = str(caught.value), tmp_path / "lad_jax" / "zoo" / FILE
    assert message.startswith(f"zoo:tiny is not in the cache. {web.url}/{FILE} could not be fetched: HTTPError: ")
    assert message.endswith(f"fetch this address on a machine with one, and save the file here as {place}.")
    place.write_bytes(CONTENT)
    assert resolve("zoo:tiny", KEY) == (place, SHA256)


def test_a_wrong_file_that_was_put_there(web: Web, tmp_path: Path) -> None:
    place = tmp_path / "lad_jax" / "zoo" / FILE
    place.parent.mkdir(parents=True)
    place.write_bytes(b"other")
    with pytest.raises(InputError, match=rf"zoo:tiny is damaged, or not the file.* Delete {place} and fetch it again"):
        resolve("zoo:tiny", KEY)


def test_without_torch_nothing_is_fetched(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"need torch: pip install 'lad-jax\[torch\]'"):
        resolve("zoo:tiny", KEY)
    assert not web.requests


def test_the_list_shows_what_is_there(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lad_jax.commands.zoo.ZOO", zoo.ZOO)
    assert re.search(r"^zoo:tiny +1\.0 +base +unknown +no$", listing(), re.MULTILINE)
    resolve("zoo:tiny", KEY)
    assert re.search(r"^zoo:tiny +1\.0 +base +0 MB +file$", listing(), re.MULTILINE)
    assert str(tmp_path / "lad_jax" / "zoo") in listing()
