"""What a mesh cannot be: each message names the option."""

from types import SimpleNamespace

import jax
import pytest

from lad_jax.errors import InputError
from lad_jax.train.prepare import mesh_of
from lad_jax.train.sharding import MeshOptions, make_mesh
from tests.train.tiny import tiny


@pytest.mark.parametrize(
    ("data", "spatial", "message"),
    [
        (0, 1, r"^data is 0; it must be at least 1, or -1: all devices$"),
        (1, -2, r"^spatial is -2; it must be at least 1"),
        (-1, -1, r"^data and spatial are both -1"),
    ],
)
def test_what_options_cannot_be(data, spatial, message):
    with pytest.raises(ValueError, match=message):
        MeshOptions(data, spatial)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mesh__data": 9}, r"^config\.mesh asks for 9 \(data\) x 1 \(spatial\) devices, but there are 8 \(cpu\)"),
        ({"mesh__data": -1, "mesh__spatial": 9}, r"asks for -1 \(data\) x 9 \(spatial\) devices, but there are 8"),
        ({"mesh__data": 3}, r"^config\.train\.batch_size is 4, which does not divide among 3 devices"),
        (
            {"mesh__data": 4, "train__accumulate": 2},
            r"^config\.train\.batch_size / config\.train\.accumulate is 2, which does not divide among 4 devices",
        ),
        (
            {"mesh__data": 4, "evaluation__batch_size": 6},
            r"^config\.evaluation\.batch_size is 6, which does not divide among 4 devices",
        ),
    ],
    ids=["more", "more of one", "batch", "parts of a batch", "evaluation"],
)
def test_what_a_mesh_cannot_be(changes, message):
    with pytest.raises(InputError, match=message):
        mesh_of(tiny(**changes))


@pytest.mark.parametrize(("data", "spatial", "shape"), [(-1, 1, (8, 1)), (-1, 3, (2, 3)), (2, -1, (2, 4))])
def test_all_that_are_left(data, spatial, shape):
    assert make_mesh(MeshOptions(data, spatial), {}).devices.shape == shape


def test_each_process_needs_a_device(monkeypatch):
    """Of three processes with 4, 2 and 2 devices."""
    devices = [SimpleNamespace(process_index=i, platform="cpu") for i in (0, 0, 0, 0, 1, 1, 2, 2)]
    monkeypatch.setattr(jax, "devices", lambda: devices)
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    monkeypatch.setattr("lad_jax.train.sharding.Mesh", lambda devices, axes: SimpleNamespace(devices=devices))
    with pytest.raises(InputError, match=r"takes 6 of 8 devices, which leaves some of the 3 processes without one"):
        make_mesh(MeshOptions(3, 2), {})
