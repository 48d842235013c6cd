"""What a mesh is made of, and what it cannot be: each message names the option."""

from types import SimpleNamespace

import jax
import pytest

from lad_jax import mesh as sharding
from lad_jax.errors import InputError
from lad_jax.mesh import MeshOptions, make_mesh
from lad_jax.run.prepare import mesh_of
from tests.run.tiny import tiny


def test_all_devices_unless_told_otherwise():
    assert make_mesh(MeshOptions(), {}).size == jax.device_count() == 8


@pytest.fixture
def three_processes(monkeypatch):
    """With 4, 2 and 2 devices."""
    devices = [SimpleNamespace(process_index=i, platform="cpu") for i in (0, 0, 0, 0, 1, 1, 2, 2)]
    monkeypatch.setattr(jax, "devices", lambda: devices)
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    monkeypatch.setattr(sharding, "Mesh", lambda devices, axes: SimpleNamespace(devices=devices))


@pytest.mark.usefixtures("three_processes")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mesh__data": 0}, r"data is 0; it must be at least 1, or -1: all devices"),
        ({"mesh__data": -2}, r"data is -2; it must be at least 1, or -1: all devices"),
        ({"mesh__data": 9}, r"^config\.mesh\.data is 9, but there are 8 devices \(cpu\)"),
        ({"mesh__data": 3}, r"^config\.train\.batch_size is 4, which does not divide among 3 devices"),
        (
            {"mesh__data": 4, "train__accumulate": 2},
            r"^config\.train\.batch_size / config\.train\.accumulate is 2, which does not divide among 4 devices",
        ),
        (
            {"mesh__data": 4, "evaluation__batch_size": 6},
            r"^config\.evaluation\.batch_size is 6, which does not divide among 4 devices",
        ),
        (
            {"mesh__data": 6, "train__batch_size": 6, "evaluation__batch_size": 6},
            r"takes 6 of 8 devices, .* some of the 3 processes without one",
        ),
    ],
)
def test_what_a_mesh_cannot_be(changes, message):
    with pytest.raises(InputError, match=message):
        mesh_of(tiny(**changes))
