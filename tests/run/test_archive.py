"""Files of exported detectors: what is written is read again, and what is no such file is not run."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import lad_jax
from lad_jax.errors import InputError
from lad_jax.run.archive import Content, Description, pack, unpack

CANVASES = ((64, 96), (96, 96))
DESCRIPTION = Description(("a", "ü"), (2**70, 3), CANVASES, 96, 96, 0.05, 100, 4, "0.1.0", jax.__version__)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with programs that detect nothing."""
    programs = {canvas: program(lambda weights, images: {"boxes": images + weights["a"]}) for canvas in CANVASES}
    path = tmp_path / "detector.zip"
    path.write_bytes(pack(Content(DESCRIPTION, {"a": np.arange(999, dtype=np.float32)}, programs)))
    return path


def program(function: Callable[..., Any], *calls: str) -> bytes:
    """A serialised program, which may make these calls."""
    allowed = [jax.export.DisabledSafetyCheck.custom_call(name) for name in calls]
    arguments = {"a": np.zeros(999, np.float32)}, np.zeros(999, np.float32)
    return bytes(jax.export.export(jax.jit(function), disabled_checks=allowed)(*arguments).serialize())


def test_what_is_written_is_read(file, monkeypatch):
    monkeypatch.setenv("HOME", str(file.parent))
    content = unpack(file)
    assert content.description == DESCRIPTION
    np.testing.assert_array_equal(content.weights["a"], np.arange(999))
    assert set(content.programs) == set(CANVASES)
    assert lad_jax.load("~/detector.zip").category_ids == DESCRIPTION.category_ids


def changed(file: Path, change: Any, *, sums: bool = True) -> bytes:
    """The archive with its members changed; with `sums` the checksums are those of the new content."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(members.pop("detector.json"))
    change(about, members)
    if sums:
        about["sha256"] = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in {"detector.json": json.dumps(about), **members}.items():
            archive.writestr(name, data)
    return content.getvalue()


def outside(weights, images):
    """Calls a function of the process that it runs in."""
    return jax.ffi.ffi_call("run_this", jax.ShapeDtypeStruct((), jnp.float32))(images)


def overwrite(position: int, file: Path) -> bytes:
    data = bytearray(file.read_bytes())
    data[position] ^= 255
    return bytes(data)


KIND = "is no exported detector, or is cut off or damaged: copy it again"
DAMAGES: Mapping[str, tuple[Any, str]] = {
    "empty": (lambda file: b"", KIND),
    "text": (lambda file: b"no archive", KIND),
    "cut off": (lambda file: file.read_bytes()[:-100], KIND),
    "another byte in the weights": (lambda file: overwrite(3000, file), KIND),
    "another archive": (lambda file: changed(file, lambda about, members: about.clear()), KIND),
    "no weights": (lambda file: changed(file, lambda about, members: members.pop("weights.npz")), KIND),
    "a newer version": (
        lambda file: changed(file, lambda about, members: about.update(format=2, news=[1])),
        r"was exported by a newer lad_jax \(format 2, not 1\): pip install -U lad-jax",
    ),
    "no classes": (lambda file: changed(file, lambda about, members: about.pop("class_names")), "lacks class_names"),
    "canvas as text": (
        lambda file: changed(file, lambda about, members: about.update(canvases=["96x96"])),
        r"detector\.json\.canvases\[0\] must be a tuple, got '96x96'",
    ),
    "another member": (
        lambda file: changed(file, lambda about, members: members.update({"96x96.bin": b"x"}), sums=False),
        r"is damaged: 96x96\.bin has another SHA-256 than detector\.json says",
    ),
    "no program": (
        lambda file: changed(file, lambda about, members: (members.update({"64x96.bin": b"x"}), about.update(jax="9"))),
        rf"cannot be run by jax {jax.__version__}; it was exported with 9\. Install that",
    ),
    "a program that calls others": (
        lambda file: changed(file, lambda about, members: members.update({"64x96.bin": program(outside, "run_this")})),
        "calls something else than XLA's operations: .*@run_this",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_files_that_are_not_run(damage, file, tmp_path):
    make, message = DAMAGES[damage]
    path = tmp_path / "other.zip"
    path.write_bytes(make(file))
    with pytest.raises(InputError, match=rf"^{path}:? .*{message}"):
        lad_jax.load(path)
