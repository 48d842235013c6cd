"""Sound inputs, mutated: each is read or refused by an `InputError`; no other error, no hang, no totals that differ."""

import contextlib
import copy
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lad_jax.commands.checking.summary import summarise
from lad_jax.commands.import_voc import import_voc
from lad_jax.commands.import_yolo import import_yolo
from lad_jax.commands.importing.options import ImportOptions
from lad_jax.data.annotations import counted, find_doubts, load_annotations
from lad_jax.data.coco import CocoFolder
from lad_jax.data.pictures import decode_picture
from lad_jax.errors import InputError
from lad_jax.evaluation.coco import evaluate
from lad_jax.files import read_lines
from lad_jax.run.configs import load_options
from lad_jax.run.logging import RunLog
from tests.commands.other_formats import make_content, write_pictures, write_voc, write_yolo

ROOT = Path(__file__).parents[2]
TRIES = 600
"""Number of mutants of each kind of input."""
LONGEST_S = 20.0
"""Time above which a try is taken for a hang [seconds]."""
pytestmark = pytest.mark.slow

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), -float("inf"), 2**31, 2**63),
    *(2**64 + 1, 10**400, "", " ", "0", "1", "-1", "1e3", "NaN", "true", "null", "\0", "\n", "é", "e\u0301", "😀"),
    *("../x", "/etc/passwd", "a" * 300, [], [[]], {}, {"id": 1}, [1, 2, 3, 4], ["1", "2", "3", "4"]),
]
PIECES = [
    b"",
    b"\0",
    b"\xff",
    b"\xff\xd9",
    b"\xfe\xff",
    b"\n",
    b"\r",
    b'"',
    b"<",
    b"&",
    b"]]>",
    b"{",
    b"9" * 5000,
    b"NaN",
]


def mutated_value(content: Any, rng: random.Random) -> Any:
    """The content with one to three of its values replaced, removed, doubled or exchanged."""
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(content))
        holder, key = rng.choice(places)
        with contextlib.suppress(IndexError, KeyError):
            act = rng.randrange(5)
            if act < 3:
                holder[key] = copy.deepcopy(rng.choice(ODD))
            elif act == 3:
                del holder[key]
            else:
                other, name = rng.choice(places)
                holder[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(holder[key])
    return content


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value within nested lists and groups."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list) and value[key]:
            yield from _places(value[key])


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """The data with some bytes changed, cut out, doubled or put in, or without its end."""
    mutant = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at, length = rng.randrange(len(mutant) + 1), rng.choice([1, 1, 4, 64])
        act = rng.randrange(5)
        if act == 0:
            mutant[at : at + length] = rng.randbytes(length)
        elif act == 1:
            del mutant[at : at + length]
        elif act == 2:
            mutant[at:at] = mutant[max(0, at - length) : at]
        elif act == 3:
            mutant[at:at] = rng.choice(PIECES)
        elif rng.random() < 0.3:
            del mutant[at:]
    return bytes(mutant)


def run(name: str, attempt: Callable[[random.Random], str], *kinds: str) -> None:
    """Try mutants; an attempt returns what became of one, or raises an InputError. All `kinds` must be among these."""
    outcomes: Counter[str] = Counter()
    for seed in range(TRIES):
        since = time.monotonic()
        try:
            outcomes[attempt(random.Random(f"{name} {seed}"))] += 1
        except InputError as error:
            outcomes["refused"] += 1
            assert str(error).strip() and len(str(error)) < 20_000, f"{name}, seed {seed}: message of no use"
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}: {type(error).__name__}: {error}") from error
        assert time.monotonic() - since < LONGEST_S, f"{name}, seed {seed}: it hangs"
    print(f"{name}: {TRIES} tries, seeds 0 to {TRIES - 1}: {dict(outcomes)}")
    assert set(kinds) <= set(outcomes) and len(outcomes) > 1, "the mutants are all alike"


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """COCO content, whose pictures lie in `tmp_path`."""
    content = make_content("train", 6)
    write_pictures(tmp_path, content)
    return content


@pytest.mark.parametrize("as_bytes", [False, True], ids=["values", "bytes"])
def test_annotations(content: dict[str, Any], tmp_path: Path, as_bytes: bool) -> None:
    """Totals of check, of training and of the evaluation agree."""
    file = tmp_path / "a.json"

    def attempt(rng: random.Random) -> str:
        data = json.dumps(content if as_bytes else mutated_value(content, rng)).encode()
        file.write_bytes(mutated_bytes(data, rng) if as_bytes else data)
        dataset = CocoFolder(str(tmp_path), str(file))
        read = load_annotations(file, "key")
        find_doubts(read)
        summary = summarise(dataset.records, len(dataset.class_names))
        trained = sum(len(record.boxes) for record in dataset.records)
        truth = [annotation for annotation in counted(read)["annotations"] if not annotation["ignore"]]
        assert summary.per_class.sum() + summary.crowds == trained == len(truth)
        perfect = [{**{k: a[k] for k in ("image_id", "category_id", "bbox")}, "score": 0.5} for a in truth]
        metrics = evaluate(dataset.ground_truth(), perfect, dataset.class_names, dataset.category_ids)
        ap = metrics.overall["AP"]
        assert (ap is None) == (not summary.per_class.sum()) and (ap is None or ap > 0.99)
        return "read" if len(read["annotations"]) == trained else "some left out"

    run(f"annotations by {'bytes' if as_bytes else 'values'}", attempt, "read", "refused")


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_importers(kind: str, tmp_path: Path) -> None:
    """What is written can be trained on."""
    write, folder = {"voc": (write_voc, "annotations"), "yolo": (write_yolo, "labels")}[kind]
    for split in ("train", "val"):
        write(tmp_path / "images" / split, tmp_path / folder / split, make_content(split))
    (tmp_path / "classes.txt").write_text("zebra\nant\ncrab claw\n")
    files = sorted((tmp_path / folder).rglob("*.*"))
    sound = {file: file.read_bytes() for file in files}

    def attempt(rng: random.Random) -> str:
        file = rng.choice(files)
        file.write_bytes(mutated_bytes(sound[file], rng))
        for split in ("train", "val"):
            (tmp_path / f"{split}.json").unlink(missing_ok=True)
        try:
            options = ImportOptions(tmp_path, tmp_path, classes=tmp_path / "classes.txt")
            if kind == "voc":
                import_voc(options, coordinates="voc", keep_difficult=False)
            else:
                import_yolo(options)
        finally:
            file.write_bytes(sound[file])
        for split in ("train", "val"):
            CocoFolder(str(tmp_path), str(tmp_path / f"{split}.json"))
        return "read"

    run(kind, attempt, "read", "refused")


def test_logs_of_a_run(tmp_path: Path) -> None:
    """A resumed run reads them and goes on: nothing in them is an error."""
    lines = [{"step": step, "epoch": step / 4, "images_per_s": 9.0, "loss": 1 / step} for step in range(1, 9)]
    sound = "".join(json.dumps(line) + "\n" for line in lines).encode()
    file = tmp_path / "metrics.jsonl"
    totals: Counter[int] = Counter()

    def attempt(rng: random.Random) -> str:
        file.write_bytes(mutated_bytes(sound, rng))
        found, damaged = read_lines(file)
        assert all(type(line["step"]) is int for line in found)
        log = RunLog(tmp_path, start=4, evaluated=False, total=8, steps_per_epoch=4, batch_size=2, writes=True)
        log.close()
        kept, still_damaged = read_lines(file)
        assert not still_damaged and all(line["step"] <= 4 for line in kept)
        totals[len(kept)] += 1
        return "damaged" if damaged else "read"

    run("metrics.jsonl", attempt, "read", "damaged")
    assert totals[4] > TRIES / 3


def test_overrides_of_a_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    sound = [
        *("--config.train.epochs=3", "--config.optimizer.decay_epochs=(1, 2)", "--config.method=plain"),
        *("--config.model.backbone.depth=18", "--config.data.short_side=96", "--config.assigner.name=ota"),
        *("--config.optimizer.learning_rate=0.1", "--config.data.flip=0.5", "--config.train.deterministic=True"),
    ]

    def attempt(rng: random.Random) -> str:
        words = [mutated_bytes(word[9:].encode(), rng).decode(errors="replace") for word in rng.sample(sound, 2)]
        load_options("configs/demo.py:paa", [f"--config.{word}" for word in words])
        return "read"

    run("overrides", attempt, "read", "refused")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".bmp"])
def test_pictures(suffix: str) -> None:
    y, x = np.mgrid[:40, :60]
    picture = np.stack([x * 4, y * 6, (x * y) % 251], axis=-1).astype(np.uint8)
    sound = cv2.imencode(suffix, picture)[1].tobytes()

    def attempt(rng: random.Random) -> str:
        decoded = decode_picture(mutated_bytes(sound, rng), "a picture")
        assert decoded.ndim == 3 and decoded.shape[2] == 3 and decoded.dtype == np.uint8
        return "decoded"

    run(f"pictures {suffix}", attempt, "decoded", "refused")
