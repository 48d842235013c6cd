"""What a mesh is made of, and what it cannot be: each message names the option."""

from types import SimpleNamespace

import jax
import pytest

from lad_jax import mesh as sharding
from lad_jax.errors import InputError
from lad_jax.mesh import MeshOptions, make_mesh
from lad_jax.run.prepare import mesh_of
from tests.run.tiny import tiny


@pytest.mark.parametrize(("data", "spatial", "shape"), [(-1, 1, (8, 1)), (-1, 3, (2, 3)), (2, -1, (2, 4))])
def test_all_that_are_left(data, spatial, shape):
    assert make_mesh(MeshOptions(data, spatial), {}).devices.shape == shape


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
        ({"mesh__spatial": -2}, r"spatial is -2; it must be at least 1"),
        ({"mesh__data": -1, "mesh__spatial": -1}, r"data and spatial are both -1"),
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
        ({"mesh__data": 2, "mesh__spatial": 3}, r"takes 6 of 8 devices, .* some of the 3 processes without one"),
    ],
)
def test_what_a_mesh_cannot_be(changes, message):
    with pytest.raises(InputError, match=message):
        mesh_of(tiny(**changes))
