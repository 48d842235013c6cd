"""Files from elsewhere run no code, and names in them lead nowhere else."""

import json
import os
import pickle
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lad_jax.data.class_names import read_class_names
from lad_jax.data.coco import CocoFolder
from lad_jax.data.tfds import TfdsCoco
from lad_jax.errors import InputError
from lad_jax.run import checkpoint
from lad_jax.weights.files import load_arrays
from tests.folder import write_coco_folder


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def sprung(tmp_path: Path):
    """A folder that only code in a file would make; checked at the end."""
    folder = tmp_path / "sprung"
    yield folder
    assert not folder.exists()


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").is_dir()


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "pth"])
def test_weights(suffix: str, tmp_path: Path, sprung: Path, torch) -> None:
    """A bare pickle under each name, and one inside numpy's own archive."""
    file = tmp_path / f"w.{suffix}"
    file.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(InputError, match=rf"w\.{suffix}"):
        load_arrays(file)
    if suffix == "npz":
        np.savez(file, weight=np.array([Trap(sprung)], object))
        with pytest.raises(InputError, match=r"w\.npz is not a readable .*allow_pickle=False"):
            load_arrays(file)


@pytest.mark.parametrize("item", ["meta", "variables"])
def test_checkpoints(item: str, tmp_path: Path, sprung: Path) -> None:
    """Every file of an item is a pickle, by the names that orbax has had for them."""
    folder = tmp_path / "checkpoints" / "1"
    for name in ["meta/metadata", "_METADATA", "_CHECKPOINT_METADATA", "variables/checkpoint", "variables/_METADATA"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(InputError, match="cannot be read"):
        checkpoint.read_meta(folder) if item == "meta" else checkpoint.read_variables(folder, "student")


def test_yaml(tmp_path: Path, sprung: Path) -> None:
    (tmp_path / "data.yaml").write_text(f"names: !!python/object/apply:os.mkdir [{sprung}]")
    assert read_class_names(tmp_path / "data.yaml") == (str(sprung),), "tags are not followed"


@pytest.mark.parametrize("key", ["pythonClassName", "type"])
def test_tfds_imports_no_module_that_a_data_set_names(
    key: str, tmp_path: Path, sprung: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trap_of_features.py").write_text(f"import os; os.mkdir({str(sprung)!r})")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "dataset_info.json").write_text('{"name": "coco", "version": "1.1.0"}')
    inner = {"image": {key: "trap_of_features.Image", "content": {}}}
    outer = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
    (tmp_path / "features.json").write_text(json.dumps({key: outer, "featuresDict": {"features": inner}}))
    with pytest.raises(InputError, match=r"features\.json names classes .* trap_of_features\.Image: .*not run"):
        TfdsCoco(str(tmp_path), "train")
    assert "trap_of_features" not in sys.modules


def edit(folder: Path, section: str, name: str, value: str) -> tuple[str, str]:
    """A small data set, one value in its annotations changed; arguments of `CocoFolder`."""
    write_coco_folder(folder, "train", [(64, 96)] * 2)
    content = json.loads((folder / "train.json").read_text())
    content[section][0][name] = value
    (folder / "train.json").write_text(json.dumps(content))
    return str(folder / "train"), str(folder / "train.json")


@pytest.mark.parametrize("name", ["../secret.png", "deep/../../secret.png", "/etc/hostname", "{folder}/secret.png"])
def test_pictures_outside_their_folder_are_not_read(name: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "secret.png"), np.zeros((64, 96, 3), np.uint8))
    arguments = edit(tmp_path, "images", "file_name", name.format(folder=tmp_path))
    with pytest.raises(InputError, match=r"1 of 2 pictures would lie outside of .*train: .*images a folder that holds"):
        CocoFolder(*arguments)


@pytest.mark.parametrize(("section", "name"), [("categories", "name"), ("images", "file_name")])
@pytest.mark.parametrize("value", ["cat\x1b[2J", "a\nb", "\x00", "\x9bm"])
def test_names_do_not_command_the_terminal(section: str, name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"in .* has control characters: rename it") as error:
        CocoFolder(*edit(tmp_path, section, name, value))
    assert str(error.value).isprintable()


def test_json_that_is_deeper_than_python_goes(tmp_path: Path) -> None:
    write_coco_folder(tmp_path, "train", [(64, 96)])
    (tmp_path / "train.json").write_text("[" * 200_000)
    with pytest.raises(InputError, match="is not JSON"):
        CocoFolder(str(tmp_path / "train"), str(tmp_path / "train.json"))
