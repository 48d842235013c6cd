"""Weights by name, from a hub on this machine; and checksums."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub.constants
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from lad_jax.errors import InputError
from lad_jax.models import ResNetOptions
from lad_jax.models.resnet import ResNet
from lad_jax.weights import load_arrays, with_backbone
from lad_jax.weights.pretrained import resolve
from tests.weights.hub import COMMIT, Hub, serve
from tests.weights.torchvision import state_dict

KEY = "config.model.backbone.pretrained"
NAME = "hf://timm/resnet18.tv_in1k"
WEIGHTS = state_dict()
CONTENT = safetensors.numpy.save(WEIGHTS)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILES = {"timm/resnet18.tv_in1k/model.safetensors": CONTENT}


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a hub the one that is asked; the cache is new.

    huggingface_hub reads the variables `HF_...` when it is imported: what is changed is where it keeps them.
    """

    def use(url: str) -> None:
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return use


@pytest.fixture
def hub(at: Callable[[str], None]) -> Iterator[Hub]:
    with serve(FILES) as running:
        at(running.url)
        yield running


def test_a_name_is_fetched_once(hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lad_jax")
    file = resolve(NAME, KEY)
    assert file.sha256 == SHA256 and SHA256 in caplog.text
    assert file.path.is_relative_to(tmp_path / "cache")
    arrays = load_arrays(file.path)
    assert set(arrays) == set(WEIGHTS)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, WEIGHTS[name], err_msg=name)
    asked = list(hub.requests)
    assert asked.count("GET /timm/resnet18.tv_in1k/resolve/main/model.safetensors") == 1
    # The file may be named, and so may the commit that the branch was at: nothing more is asked.
    for again in (NAME, f"{NAME}/model.safetensors", f"{NAME}@main", f"{NAME}@{COMMIT}/model.safetensors"):
        assert resolve(again, KEY) == file
    assert hub.requests == asked


def test_what_was_fetched_needs_no_network(at: Callable[[str], None]) -> None:
    with serve(FILES) as hub:
        at(hub.url)
        file = resolve(NAME, KEY)
    assert resolve(NAME, KEY) == file
    with pytest.raises(InputError, match="could not be fetched"):
        resolve("hf://timm/resnet34.tv_in1k", KEY)


def test_a_commit_in_a_folder(hub: Hub) -> None:
    """The hub is asked for that commit; the file is in the cache under it."""
    assert resolve(f"{NAME}@{COMMIT}", KEY).sha256 == SHA256
    assert f"GET /timm/resnet18.tv_in1k/resolve/{COMMIT}/model.safetensors" in hub.requests


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf://timm/resnet19", r"hf://timm/resnet19: the hub has no repository timm/resnet19, or none that you may"),
        (f"{NAME}@v2", r"the hub has no revision v2 of timm/resnet18\.tv_in1k"),
        (f"{NAME}/other.npz", r"the hub has no file other\.npz in timm/resnet18\.tv_in1k at revision main"),
    ],
)
def test_what_the_hub_has_not(name: str, message: str, hub: Hub) -> None:
    with pytest.raises(InputError, match=rf"{message}.*Check config\.model\.backbone\.pretrained"):
        resolve(name, KEY)


def test_without_a_network_the_message_says_what_to_fetch(at: Callable[[str], None]) -> None:
    with serve({}) as hub:
        at(hub.url)  # and nobody is there any more
    since = time.monotonic()
    with pytest.raises(InputError) as caught:
        resolve(f"{NAME}@v2", KEY)
    assert time.monotonic() - since < 5, "it is not tried again and again"
    assert f"fetch {hub.url}/timm/resnet18.tv_in1k/resolve/v2/model.safetensors" in str(caught.value)
    assert "save it here as weights/resnet18.tv_in1k.safetensors" in str(caught.value)
    assert f"set {KEY} to weights/resnet18.tv_in1k.safetensors" in str(caught.value)


def test_offline_by_the_hubs_own_switch(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        resolve(NAME, KEY)
    assert not hub.requests


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hf:/timm/resnet18.tv_in1k", "does not begin with hf://"),
        ("torchvision://resnet50", "does not begin with hf://"),
        ("https://download.pytorch.org/models/resnet50-0676ba61.pth", "does not begin with hf://"),
        ("hf://timm", "must be 'namespace/name'"),
        ("hf://timm/resnet18@/model.safetensors", "Empty revision"),
        ("hf://datasets/timm/imagenet", "of a dataset"),
        ("hf://timm/resnet18/../../w.npz", "no '..' in its name"),
    ],
)
def test_no_name(name: str, reason: str, hub: Hub) -> None:
    with pytest.raises(InputError) as caught:
        resolve(name, KEY)
    assert str(caught.value).startswith(f"{KEY} is {name!r}, which names no weights")
    assert reason in str(caught.value)
    assert "hf://OWNER/REPO[@REVISION][/FILE]" in str(caught.value)
    assert not hub.requests


def test_a_kind_of_file_that_is_not_read_is_not_fetched(hub: Hub) -> None:
    with pytest.raises(InputError, match=r"suffix '\.bin'; known: \.npz, \.safetensors"):
        resolve(f"{NAME}/pytorch_model.bin", KEY)
    assert not hub.requests


class TestChecksums:
    def test_damaged_on_the_way(self, at: Callable[[str], None]) -> None:
        with serve(FILES, damaged=True) as hub:
            at(hub.url)
            with pytest.raises(InputError, match=rf"{NAME} is damaged.*by its name {SHA256}") as caught:
                resolve(NAME, KEY)
        blob = Path(str(caught.value).split("Delete ")[1].split(" and fetch")[0])
        damaged = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
        assert blob.read_bytes() == damaged
        assert hashlib.sha256(damaged).hexdigest() in str(caught.value)
        blob.unlink()  # as the message says
        with serve(FILES) as hub:
            at(hub.url)
            assert resolve(NAME, KEY).sha256 == SHA256

    def test_damaged_in_the_cache(self, hub: Hub) -> None:
        path = resolve(NAME, KEY).path
        path.write_bytes(CONTENT[:-1])
        with pytest.raises(InputError, match="damaged"):
            resolve(NAME, KEY)
        with pytest.raises(InputError, match="damaged"):
            resolve(str(path), KEY)

    def test_a_blob_that_the_cache_keeps_by_another_name(self, hub: Hub, tmp_path: Path) -> None:
        """Files that several repositories have lie once, under a checksum of another kind, behind a second link."""
        path = resolve(NAME, KEY).path
        blob = path.resolve()
        (tmp_path / "cache" / "blobs" / "ab").mkdir(parents=True)
        blob.symlink_to(blob.rename(tmp_path / "cache" / "blobs" / "ab" / ("ab" * 32)))
        assert resolve(NAME, KEY).sha256 == SHA256

    @pytest.mark.parametrize("digits", [8, 12, 64])
    @pytest.mark.parametrize("suffix", ["pth", "pt"])
    def test_names_of_torch_hub(self, digits: int, suffix: str, tmp_path: Path) -> None:
        """Any content: it is checked before it is read."""
        sha256 = hashlib.sha256(b"weights").hexdigest()
        file = tmp_path / f"paa_r50_20200821-{sha256[:digits]}.{suffix}"
        file.write_bytes(b"weights")
        assert resolve(str(file), KEY) == (file, sha256)
        file.write_bytes(b"weightz")
        message = rf"its SHA-256 is {hashlib.sha256(b'weightz').hexdigest()}, but by its name {sha256[:digits]}\."
        with pytest.raises(InputError, match=rf"{message} Delete {file} and fetch it again"):
            resolve(str(file), KEY)

    @pytest.mark.parametrize("name", ["resnet50.pth", "resnet-50.pth", "epoch-0012.pth", "run-20240229.npz"])
    def test_names_without_a_checksum(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(b"weights")
        assert resolve(str(tmp_path / name), KEY).sha256 == hashlib.sha256(b"weights").hexdigest()


def test_weights_of_imagenet(shared: Path) -> None:
    """Every array of a real file comes through whole."""
    file = shared / "weights" / "resnet50_imagenet_caffe.npz"
    model = ResNet(ResNetOptions(depth=50), 2, jnp.dtype("float32"))
    template = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    variables = {collection: {"backbone": tree} for collection, tree in template.items()}
    loaded = with_backbone(variables, load_arrays(resolve(str(file), KEY).path), str(file))
    with np.load(file) as arrays:
        expected = sorted((a.size, float(a.min()), float(a.max())) for a in arrays.values())
    assert sorted((x.size, float(x.min()), float(x.max())) for x in jax.tree.leaves(loaded)) == expected


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not found: .*none\.npz. Check config\.model\.backbone\.pretrained"):
        resolve(str(tmp_path / "none.npz"), KEY)
