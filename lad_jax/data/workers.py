"""Batches made ahead of time by worker processes, which may die."""

import contextlib
import functools
import gc
import itertools
import logging
import mmap
import multiprocessing
import os
import secrets
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from typing import Any

import cv2
import grain
import numpy as np
from absl import flags
from grain.multiprocessing import SharedMemoryArray

from lad_jax.errors import InputError
from lad_jax.types import Batch, GroundTruth, Pictures

_MAX_DEATHS = 3
"""Number of times that workers may die while one batch is awaited."""
_DIED = "terminated unexpectedly"
"""Words of the RuntimeError that grain raises when a worker is gone."""
_SHARED_MEMORY = Path("/dev/shm")
"""Where Linux shows the names of shared memory."""
_UNLINKED_S = 0.2
"""Time after which grain's thread has unlinked the shared memory of batches that had arrived [seconds]."""

_log = logging.getLogger(__name__)


def make_ahead(make: Callable[[int], Batch], numbers: range, workers: int) -> Generator[Batch, None, None]:
    """`make(number)` for each of `numbers`, in order, made ahead of time.

    A batch depends on nothing but its number, so a worker that dies (killed, or out of memory) costs only time: all
    are started again, at the batch that is due.

    Args:
      make: function that can be pickled.
      numbers: numbers of the batches.
      workers: number of processes; 0: a thread of this one.

    Raises:
      InputError: raised by `make`; or workers died `_MAX_DEATHS` times while one batch was awaited.
      RuntimeError: any other error of `make` in a worker, with its traceback.
    """
    deaths = 0
    while numbers:
        prefix = secrets.token_hex(4)
        try:
            with contextlib.closing(_read(make, numbers, workers, prefix)) as batches:
                for batch in batches:
                    yield batch
                    numbers, deaths = numbers[1:], 0
        except RuntimeError as error:
            if _DIED not in str(error):
                raise
            deaths += 1
            if deaths == _MAX_DEATHS:
                raise InputError(
                    f"a worker process died {deaths} times while batch {numbers[0]} was awaited: {error} It may be out "
                    "of memory (lower config.data.workers; shared memory is what `df /dev/shm` shows), or a picture "
                    "may crash the decoder (config.data.workers=0 shows where)."
                ) from None
            _log.warning("a worker process died: all are started again, at batch %d. %s", numbers[0], str(error))
        finally:
            if workers:
                _unlink_left(prefix)


def _read(make: Callable[[int], Batch], numbers: range, workers: int, prefix: str) -> Generator[Batch, None, None]:
    """Batches as of `make_ahead`, until a worker dies. A grain element is a batch, so reading can start at any.

    Workers send them in shared memory, whose names start with `prefix`.
    """
    if not flags.FLAGS.is_parsed():  # grain reads flags of absl, which only `app.run` parses
        flags.FLAGS.mark_as_parsed()
    data = grain.MapDataset.range(numbers.start, numbers.stop).map(functools.partial(_sendable, make))
    ahead = data.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2))
    if workers:
        ahead = ahead.map(_shared).mp_prefetch(
            grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2),
            worker_init_fn=functools.partial(_init_worker, prefix),
        )
    batches = iter(ahead)
    received = map(_received, batches) if workers else batches
    try:
        # grain starts its workers at the first batches, so one of each worker is awaited.
        with _no_accelerator(), _no_signals():
            first = list(itertools.islice(received, min(workers, len(numbers))))
        yield from first
        yield from received
    except InputError as error:
        raise InputError(*error.args) from None  # a worker's, without grain's note and traceback
    finally:
        batches.close()
        del batches, received, ahead
        gc.collect()  # grain's iterator is a cycle that holds shared memory; left to the exit, Python calls it leaked


def _sendable(make: Callable[[int], Batch], number: int) -> Batch:
    """`make(number)`, with errors that can be sent to another process: for one that cannot, grain waits forever."""
    try:
        return make(number)
    except InputError:
        raise
    except Exception:
        raise RuntimeError(f"batch {number} could not be made:\n{traceback.format_exc()}") from None


def _init_worker(prefix: str, index: int, count: int) -> None:
    """Prepare a worker: one thread, since more would only compete with other workers, and an end with the run.

    Its shared memory gets names that start with `prefix`, by which the run finds what it leaves when it ends.
    """
    del index, count
    shared_memory._SHM_NAME_PREFIX = f"/{prefix}"  # type: ignore[attr-defined]  # Python has no other way
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, killed perhaps: grain would wait for minutes.

    Linux's parent-death signal does not do: it comes when the parent's thread ends, and grain's thread that starts
    workers is short-lived.
    """
    parent = multiprocessing.parent_process()
    assert parent, "grain's workers are children"
    parent.join()
    os._exit(1)


def _unlink_left(prefix: str) -> None:
    """Free the shared memory of batches that ended workers had not handed over; it would last as long as the run.

    Names are those of `prefix`. What this process holds, an error's traceback perhaps, unlinks itself. Where the system
    shows no names, nothing is freed.
    """
    gc.collect()  # the frames of a worker's error are a cycle too
    time.sleep(_UNLINKED_S)
    left = [file.name for file in _SHARED_MEMORY.glob(f"{prefix}*")]
    held = Path("/proc/self/maps").read_text() if left else ""
    for name in left:
        if name not in held:
            # A worker that was killed early has an empty one, of which Python's tracker of resources does not know yet.
            resource_tracker.register(f"/{name}", "shared_memory")
            (_SHARED_MEMORY / name).unlink(missing_ok=True)
            resource_tracker.unregister(f"/{name}", "shared_memory")


@contextlib.contextmanager
def _no_signals() -> Iterator[None]:
    """Keep Ctrl-C, and a SIGTERM to the whole group, from processes that the block starts: this one ends them.

    They inherit the blocked signals of their thread, and grain's threads that start them those of this one. Signals to
    this process still arrive, in a thread that was there before.
    """
    resource_tracker.ensure_running()  # it unblocks them in the thread that starts it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _no_accelerator() -> Iterator[None]:
    """Keep processes that the block starts from opening an accelerator: grain imports jax there, and this one holds it.

    Only the environment of new processes changes: here jax has read it at import.
    """
    before = os.environ.get("JAX_PLATFORMS")
    os.environ["JAX_PLATFORMS"] = "cpu"
    try:
        yield
    finally:
        if before is None:
            del os.environ["JAX_PLATFORMS"]
        else:
            os.environ["JAX_PLATFORMS"] = before


def _shared(batch: Batch) -> Batch:
    """A batch with its pictures in shared memory, as grain hands them over."""
    images: Any = to_shared_memory(batch.pictures.images)
    return batch._replace(pictures=batch.pictures._replace(images=images))


def to_shared_memory(images: Any) -> SharedMemoryArray:
    """A copy of a batch's pictures in shared memory.

    They are written to its file: new pages of a mapping, which grain would copy to, cost twice the processor time, and
    the process its life where there are none.

    Raises:
      InputError: shared memory is full.
    """
    shared = SharedMemoryArray(images.shape, images.dtype)
    try:
        with open(shared.shm._fd, "wb", closefd=False) as file:
            file.write(images)
    except OSError as error:
        raise InputError(
            f"shared memory has no room for the {images.nbytes / 2**20:.0f} MiB of a batch's pictures "
            f"({error.strerror}): `df /dev/shm` shows it. Enlarge it (docker run --shm-size), or lower "
            "config.data.workers, each of which holds some batches."
        ) from None
    return shared


def _received(batch: Batch) -> Batch:
    """A batch of a worker, in memory that outlives grain's arrays of it.

    grain hands over shared memory and unmaps it when its array object dies, or not at all where the run ends first.
    Pictures are mapped once more instead of copied: the mapping lasts as long as anything has a view of it, as a device
    may, and its name is gone with grain's array, so that nothing is left of it however the run ends.
    """
    images: Any = batch.pictures.images
    copy: Callable[[Any], Any] = np.array
    pictures = Pictures(_mapped(images), *map(copy, batch.pictures[1:]))
    return Batch(pictures, GroundTruth(*map(copy, batch.truth)), copy(batch.position), copy(batch.valid))


def _mapped(array: SharedMemoryArray) -> Any:
    """The content of an array in shared memory, mapped for reading."""
    memory = mmap.mmap(array.shm._fd, array.nbytes, access=mmap.ACCESS_READ)  # Python has no other way to its file
    return np.frombuffer(memory, array.dtype).reshape(array.shape)
