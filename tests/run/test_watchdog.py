"""What a run says when it waits for long, and that it says nothing when it does not."""

import itertools
import logging
import threading
import time

import pytest

from lad_jax import progress
from lad_jax.progress import activities, activity
from lad_jax.run import train as loop
from lad_jax.run import watchdog
from lad_jax.run.watchdog import watch
from tests.run.tiny import tiny


@pytest.fixture(autouse=True)
def warnings(caplog):
    caplog.set_level(logging.WARNING)
    return caplog


def told(caplog):
    return [message for message in caplog.messages if "nothing has ended" in message]


def sleep_deeply():
    time.sleep(1)


def test_what_hangs_is_named_again_and_again(caplog):
    with watch(0.1), activity("evaluating after step 3"), activity("waiting for batch 7"):
        sleep_deeply()
    first, second, *_ = told(caplog)
    assert "nothing has ended for 0 s: the run is waiting for batch 7 while evaluating after step 3. It is at" in first
    assert first.endswith("sleep_deeply") and __file__ in first
    assert first.count("\n") == 3, "not the calls of who runs the tests"
    assert "waiting for batch 7" in second
    assert not [thread for thread in threading.enumerate() if thread.name == "watchdog"]


@pytest.mark.parametrize(("pause_s", "is_named"), [(0.8, False), (1.2, True)])
def test_what_goes_on_is_not_named(pause_s, is_named, caplog, monkeypatch):
    """Batches that take less than the limit each, and in all much longer; by a clock of our own."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    batches = activities(itertools.repeat(None), "batch")
    next(batches)

    class Ended(threading.Event):
        def wait(self, seconds):
            nonlocal now
            until = now + seconds
            while (due := progress.latest() + pause_s) <= until:
                now = due
                next(batches)
            now = until
            return now > 120

    watchdog._watch(1.0, threading.get_ident(), Ended())
    assert bool(told(caplog)) == is_named


def test_it_can_be_turned_off(caplog):
    with watch(0.0), activity("a step"):
        time.sleep(0.1)
    assert not told(caplog)


def test_what_is_waited_for_has_a_number():
    def items():
        yield progress.current()
        yield progress.current()

    assert list(activities(items(), "batch")) == [("waiting for batch 1",), ("waiting for batch 2",)]
    with pytest.raises(ZeroDivisionError), activity("a step"):
        1 / 0  # noqa: B018
    assert progress.current() == ()


def test_a_loader_that_hangs(tmp_path, caplog, monkeypatch):
    def hanging(*args, **values):
        until = time.monotonic() + 60
        while not any("the run is waiting for the batch of step 1 while" in message for message in told(caplog)):
            assert time.monotonic() < until
            time.sleep(0.1)
        yield from ()

    monkeypatch.setattr(loop, "train_batches", hanging)
    with pytest.raises(StopIteration):
        loop.train(tiny(train__watchdog_s=0.3), tmp_path)
    [message, *_] = [message for message in told(caplog) if "the batch of step 1 while" in message]
    assert message.endswith("hanging") and f"{loop.__file__}:" in message
    assert progress.current() == ()
