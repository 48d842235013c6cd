"""Faults while a run reads: files that are gone for a while or for good, workers that die or raise strange errors."""

import dataclasses
import errno
import logging
import os
import secrets
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lad_jax.data import eval_batches, loader, make_eval_plan, make_plan, workers
from lad_jax.data.coco import CocoFolder
from lad_jax.data.pictures import Unreachable
from lad_jax.errors import InputError
from tests.data.test_loader import FOLDER, Sizes, assert_same, train
from tests.folder import write_coco_folder

SKIP = dataclasses.replace(FOLDER, on_bad_picture="skip")


class Killed(Sizes):
    """Reading one picture kills the process, as the kernel does when memory is short: once, or always."""

    def __init__(self, notes, position, times):
        super().__init__()
        self._notes, self._position, self._times = notes, position, times

    def orientation(self, position):
        return 1

    def read(self, position, reduction=1):
        if position == self._position and len(list(self._notes.iterdir())) < self._times:
            (self._notes / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(position, reduction)


class StrangeError(Exception):
    """An error that pickle refuses."""

    def __init__(self):
        super().__init__(lambda: None)


class Raising(Sizes):
    def orientation(self, position):
        return 1

    def read(self, position, reduction=1):
        if position == 3:
            raise StrangeError
        return super().read(position, reduction)


class Gone(Sizes):
    """No file can be had."""

    def orientation(self, position):
        return 1

    def read(self, position, reduction=1):
        raise Unreachable(f"cannot read picture {position}.png: Stale file handle.")


@pytest.fixture
def pictures(tmp_path):
    write_coco_folder(tmp_path, "train", [(64, 96)] * 8)
    return CocoFolder(str(tmp_path / "train"), str(tmp_path / "train.json"))


def test_a_file_system_that_is_gone_for_a_while_costs_time_only(pictures, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(loader, "PAUSES_S", tuple(0.02 * 2**n for n in range(10)))  # together 20 s
    expected = train(pictures, FOLDER)
    (tmp_path / "train").rename(tmp_path / "away")
    back = threading.Timer(0.1, (tmp_path / "away").rename, [tmp_path / "train"])
    back.start()
    found = train(pictures, FOLDER)
    back.join()
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, theirs)
    assert "png: No such file or directory. Trying again in 0.02 s (1 of 10)." in caplog.text


def test_pauses_end(pictures, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    (tmp_path / "train").rename(tmp_path / "away")
    with pytest.raises(InputError, match=r"cannot read picture .*\.png: No such file"):
        train(pictures, FOLDER, steps=1)  # no thread is left that reads further batches, and pauses
    assert pauses == list(loader.PAUSES_S)


def test_a_file_that_is_damaged_is_not_tried_again(pictures, tmp_path, caplog):
    (tmp_path / "train/3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="cannot decode"):
        train(pictures, FOLDER)
    assert "again" not in caplog.text


@pytest.mark.parametrize("limit", [1, 7])
def test_many_bad_pictures_in_a_row_end_the_run_though_they_are_skipped(limit, monkeypatch):
    monkeypatch.setattr(loader, "PAUSES_S", ())
    monkeypatch.setattr(loader, "MAX_BAD_IN_A_ROW", limit)
    message = rf"^{limit} pictures that follow each other .*config\.data"
    with pytest.raises(InputError, match=message):
        train(Gone(), SKIP)
    plan = make_eval_plan(Gone(), SKIP, batch_size=4)
    with pytest.raises(InputError, match=message):
        list(eval_batches(Gone(), plan, SKIP))


def test_bad_pictures_among_good_ones_do_not_add_up(monkeypatch):
    """Two of 14, shown twice, are not two in a row; rows that fill a batch are no pictures."""
    monkeypatch.setattr(loader, "MAX_BAD_IN_A_ROW", 2)
    dataset = Sizes(bad={3})
    assert not all(batch.valid.all() for batch in train(dataset, SKIP, steps=8))
    plan = make_eval_plan(dataset, SKIP, batch_size=9)
    assert sum(batch.valid.sum() for batch in eval_batches(dataset, plan, SKIP)) == 13


def test_a_killed_worker_costs_time_only(tmp_path, caplog, monkeypatch):
    """And no shared memory: what it had filled is freed, not at the end of the run but now."""
    prefix = secrets.token_hex(4)
    monkeypatch.setattr(workers.secrets, "token_hex", lambda _: prefix)
    with caplog.at_level(logging.WARNING):
        found = train(Killed(tmp_path, position=3, times=1), dataclasses.replace(FOLDER, workers=1))
    for ours, theirs in zip(found, train(Sizes(), FOLDER), strict=True):
        assert_same(ours, theirs)
    [warning] = caplog.messages
    assert warning.startswith("a worker process died: all are started again, at batch ") and "exit code -9" in warning
    assert not list(Path("/dev/shm").glob(f"{prefix}*"))


@pytest.mark.parametrize("size", [0, 4096])
def test_shared_memory_of_a_worker_that_was_killed_early_is_freed(size, tmp_path, monkeypatch, capfd):
    """Between the name and the size, and before Python's tracker knew of it."""
    monkeypatch.setattr(workers, "_SHARED_MEMORY", tmp_path)
    (tmp_path / "prefix1").write_bytes(bytes(size))
    (tmp_path / "other").touch()
    workers._unlink_left("prefix")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    time.sleep(0.2)  # the tracker is a process of its own
    assert capfd.readouterr().err == ""


def test_full_shared_memory_is_named(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(workers, "open", full, raising=False)
    [batch] = train(Sizes([(64, 96)]), FOLDER, batch_size=1)
    with pytest.raises(InputError, match=r"no room for .*No space left on device.*lower config\.data\.workers"):
        workers._shared(batch)


@pytest.mark.slow
def test_a_worker_that_is_killed_again_and_again_ends_the_run(tmp_path):
    first = int(make_plan(Sizes(), FOLDER, batch_size=4, seed=0).step(0).positions[0])
    with pytest.raises(InputError, match=r"died 3 times while batch 0 was awaited: .*-9.*lower config\.data\.workers"):
        train(Killed(tmp_path, position=first, times=99), dataclasses.replace(FOLDER, workers=1))
    assert len(list(tmp_path.iterdir())) == 3


def test_an_error_that_pickle_refuses_is_told(tmp_path):
    """By its traceback: sent as it is, it would not arrive, and the run would wait forever."""
    with pytest.raises(RuntimeError, match=r"(?s)batch \d could not be made:.*raise StrangeError"):
        train(Raising(), dataclasses.replace(FOLDER, workers=1))


def test_a_skipped_picture_was_tried_first(pictures, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(loader, "PAUSES_S", (0.0,))
    (tmp_path / "train/3.png").unlink()
    batches = train(pictures, SKIP)
    assert caplog.text.index("Trying again") < caplog.text.index("skipped: cannot read picture")
    bad = np.concatenate([batch.position[~batch.valid] for batch in batches])
    assert bad.tolist() == [2]
