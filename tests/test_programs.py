"""Programs for planned canvases, and for no other; and what happens while they are compiled."""

import threading
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.programs import Job, Programs, compiling, shapes_of
from lad_jax.types import Pictures

WIDE, HIGH = (64, 96), (96, 64)


def batch(canvas, value=0):
    return Pictures(np.full((2, *canvas, 3), value, np.uint8), None, None)


@pytest.fixture
def total():
    def function(factor, batch):
        return factor * jnp.sum(batch.images, dtype=jnp.float32)

    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    blank = {canvas: batch(canvas) for canvas in (WIDE, HIGH)}
    shapes = {canvas: shapes_of(b, here) for canvas, b in blank.items()}
    return Programs("the total", jax.jit(function), shapes)


def test_each_canvas_is_compiled_once_and_from_shapes_alone(total, caplog):
    caplog.set_level("INFO")
    factor = jnp.float32(0.5)
    jobs = total.jobs(shapes_of(factor))
    assert [job.what for job in jobs] == ["the total, canvas 64x96", "the total, canvas 96x64"]
    with compiling(jobs):
        pass
    assert caplog.text.count("compiled program") == 2 and "program 2 of 2" in caplog.text
    assert total.jobs(shapes_of(factor)) == []
    for canvas in (WIDE, HIGH):
        assert total(factor, jax.device_put(batch(canvas, 3))) == 0.5 * 3 * 2 * 64 * 96 * 3


def test_a_canvas_outside_the_plan_is_an_error(total):
    with compiling(total.jobs(jnp.float32(1))):
        pass
    with pytest.raises(RuntimeError, match=r"the total: canvas \(64, 64\) is none of those compiled"):
        total(jnp.float32(1), batch((64, 64)))


def program():
    return jax.jit(lambda x: x).lower(1.0).compile()


def test_the_block_runs_meanwhile():
    begun, told = threading.Event(), threading.Event()

    def compile():
        begun.set()
        assert told.wait(60)
        return program()

    with compiling([Job("one", compile)]):
        assert begun.wait(60)
        told.set()


def test_on_a_gpu_one_after_the_other(monkeypatch):
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    running, order = threading.Semaphore(1), []

    def compile(number):
        assert running.acquire(blocking=False), "another runs"
        order.append(number)
        time.sleep(0.01)
        running.release()
        return program()

    with compiling([Job(f"{number}", partial(compile, number)) for number in range(5)]):
        pass
    assert order == list(range(5))


@pytest.mark.parametrize("where", ["job", "block"])
def test_an_error_ends_it_and_leaves_the_rest(where, monkeypatch):
    monkeypatch.setattr("lad_jax.programs.at_once", lambda: 1)
    begun, told, done = threading.Event(), threading.Event(), []

    def first():
        begun.set()
        told.wait(60)
        if where == "job":
            raise ValueError("job")
        return program()

    def second():
        done.append(told.wait(60))
        return program()

    with pytest.raises(ValueError, match=where), compiling([Job("first", first), *[Job("later", second)] * 50]):
        assert begun.wait(60)
        threading.Timer(0.2, told.set).start()
        if where == "block":
            raise ValueError("block")
    assert len(done) < 50
