"""Reading and writing files of weights, whatever their kind."""

import fractions
import json
import os
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from lad_jax.errors import InputError
from lad_jax.weights import load_arrays, save_arrays

ARRAYS = {
    "conv.weight": np.random.default_rng(0).normal(0, 1, (3, 2, 1, 1)).astype(np.float32),
    "scale": np.array(2.5, np.float32),
    "bn.num_batches_tracked": np.array(7, np.int64),
}


def assert_same(ours: dict, theirs: dict) -> None:
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype, name
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def tensors(torch: Any) -> dict:
    return {name: torch.from_numpy(array) for name, array in ARRAYS.items()}


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_what_is_written_is_read(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # these files do without
    file = tmp_path / "new" / f"w.{suffix}"
    save_arrays(file, ARRAYS, ("cat",))
    assert_same(load_arrays(file), ARRAYS)
    with pytest.raises(InputError, match="exists: nothing is overwritten"):
        save_arrays(file, ARRAYS, ("cat",))


@pytest.mark.parametrize("suffix", ["pth", "pt"])
def test_torch_files(suffix: str, tmp_path: Path, torch: Any) -> None:
    file = tmp_path / f"w.{suffix}"
    save_arrays(file, ARRAYS, ("cat", "dog"))
    assert_same(load_arrays(file), ARRAYS)
    content = torch.load(file, weights_only=True)
    assert content["meta"] == {"CLASSES": ("cat", "dog")}
    assert content["state_dict"]["bn.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize("wrapper", ["", "state_dict", "model"])
def test_wrappings_of_a_state_dict(wrapper: str, tmp_path: Path, torch: Any) -> None:
    weights = {f"module.{name}": value for name, value in tensors(torch).items()}
    torch.save({wrapper: weights, "epoch": 12} if wrapper else weights, tmp_path / "w.pth")
    assert_same(load_arrays(tmp_path / "w.pth"), ARRAYS)


def test_half_floats_become_float32(tmp_path: Path, torch: Any) -> None:
    rounded = {
        kind: {name: a.astype(kind) if a.dtype == np.float32 else a for name, a in ARRAYS.items()}
        for kind in (jnp.bfloat16, np.float16)
    }
    expected = {
        kind: {name: a if a.dtype == np.int64 else a.astype(np.float32) for name, a in arrays.items()}
        for kind, arrays in rounded.items()
    }
    np.savez(tmp_path / "half.npz", **rounded[np.float16])
    assert_same(load_arrays(tmp_path / "half.npz"), expected[np.float16])
    safetensors.numpy.save_file(rounded[jnp.bfloat16], tmp_path / "w.safetensors")
    assert_same(load_arrays(tmp_path / "w.safetensors"), expected[jnp.bfloat16])
    halves = {n: t.bfloat16() if t.is_floating_point() else t for n, t in tensors(torch).items()}
    torch.save(halves, tmp_path / "w.pth")
    assert_same(load_arrays(tmp_path / "w.pth"), expected[jnp.bfloat16])


class TestBadInput:
    """Each message names the file, what is wrong and what to do."""

    @pytest.mark.parametrize("suffix", [".ckpt", ""])
    def test_unknown_suffix(self, suffix: str, tmp_path: Path) -> None:
        (tmp_path / f"w{suffix}").touch()
        for act in (load_arrays, lambda path: save_arrays(path, ARRAYS, ("cat",))):
            with pytest.raises(InputError, match=rf"suffix '{suffix}'; known: \.npz, \.safetensors, \.pth, \.pt"):
                act(tmp_path / f"w{suffix}")

    @pytest.mark.parametrize("suffix", ["npz", "safetensors", "pth"])
    def test_damaged_file(self, suffix: str, tmp_path: Path, torch: Any) -> None:
        file = tmp_path / f"w.{suffix}"
        file.write_bytes(b"no archive")
        with pytest.raises(InputError, match=rf"w\.{suffix} is not a readable"):
            load_arrays(file)
        file.unlink()
        save_arrays(file, ARRAYS, ("cat",))
        os.truncate(file, file.stat().st_size // 2)
        with pytest.raises(InputError, match=rf"w\.{suffix} is not a readable"):
            load_arrays(file)

    def test_what_is_no_array(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "w.npz", "w") as file:
            file.writestr("notes.txt", "text")
        with pytest.raises(InputError, match=r"these entries are no numbers: notes\.txt"):
            load_arrays(tmp_path / "w.npz")

    def test_a_type_that_numpy_lacks(self, tmp_path: Path) -> None:
        header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
        (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0")
        with pytest.raises(InputError, match=r"w\.safetensors is not a readable .*float8"):
            load_arrays(tmp_path / "w.safetensors")

    def test_an_entry_with_and_without_module(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "w.npz", **{"a": np.zeros(2), "module.a": np.ones(2)})
        with pytest.raises(InputError, match=r"also with `module\.` before them: a\."):
            load_arrays(tmp_path / "w.npz")

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="cannot be made: there is a file of that name"):
            save_arrays(tmp_path / "file/w.npz", ARRAYS, ("cat",))

    @pytest.mark.parametrize("suffix", ["npz", "safetensors"])
    def test_nothing_is_left_of_a_file_that_is_not_whole(
        self, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fill_the_disk(file: Any, *_: Any, **__: Any) -> None:
            if suffix == "npz":  # the other is made in memory
                file.write(b"half")
                file.flush()
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "savez", fill_the_disk)
        monkeypatch.setattr(safetensors.numpy, "save", fill_the_disk)
        with pytest.raises(OSError, match="No space left"):
            save_arrays(tmp_path / f"w.{suffix}", ARRAYS, ("cat",))
        assert not list(tmp_path.iterdir())

    def test_no_numbers(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "w.npz", a=np.zeros(2), names=np.array(["cat", "dog"]))
        with pytest.raises(InputError, match="these entries are no numbers: names"):
            load_arrays(tmp_path / "w.npz")

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            ([1, 2], "but a list"),
            ("text", "but a str"),
            ({"state_dict": {"a": "b", "c": 1}}, "entries are none: a, c"),
            ({"model": {3: 1.5}}, "entries are none: 3"),
        ],
    )
    def test_no_state_dict(self, content: Any, what: str, tmp_path: Path, torch: Any) -> None:
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(InputError, match=rf"w\.pth holds no state dict \(tensors by name\).*{what}"):
            load_arrays(tmp_path / "w.pth")

    def test_code_in_a_file_does_not_run(self, tmp_path: Path, torch: Any) -> None:
        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "sprung"),)

        torch.save({"state_dict": tensors(torch), "trap": Trap()}, tmp_path / "w.pth")
        with pytest.raises(InputError, match=r"an object of posix\.mkdir"):
            load_arrays(tmp_path / "w.pth")
        assert not (tmp_path / "sprung").exists()
        torch.load(tmp_path / "w.pth", weights_only=False)
        assert (tmp_path / "sprung").exists(), "the trap would have worked"

    def test_objects_beside_the_weights(self, tmp_path: Path, torch: Any) -> None:
        """As mmengine's history of the losses."""
        torch.save({"state_dict": tensors(torch), "message_hub": fractions.Fraction(1, 2)}, tmp_path / "w.pth")
        with pytest.raises(InputError, match=r"an object of fractions\.Fraction.*torch\.save\(.*NEW_FILE\)"):
            load_arrays(tmp_path / "w.pth")

    def test_without_torch(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)
        (tmp_path / "w.pth").touch()
        for act in (load_arrays, lambda _: save_arrays(tmp_path / "new.pth", ARRAYS, ("cat",))):
            with pytest.raises(InputError, match=r"pip install 'lad-jax\[torch\]'"):
                act(tmp_path / "w.pth")
        assert not (tmp_path / "new.pth").exists()
