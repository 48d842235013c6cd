"""A run on several hosts: one process each (or several), joined by JAX's runtime.

The environment says how they find each other, by variables of Slurm, Open MPI or TPU pods, else by `VARIABLES`. Where
it says nothing, a process is alone.
"""

import atexit
import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import secrets
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather
from jaxtyping import Shaped

from lad_jax.errors import InputError

_log = logging.getLogger(__name__)
LOST_S = 60
"""Silence after which a process is taken for dead, and the others end [seconds]."""
JOIN_S = 300
"""Time that a starting process waits for the others [seconds]."""
_LONGEST = 4096
"""Upper bound of a message to other processes, which is cut there [bytes]."""
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
"""Variables for `HOST:PORT` of process 0, the number of processes, and the number of this one, from 0."""


def join() -> None:
    """Join the other processes of the run, where there are any; before anything opens a device.

    Should they not come in time, the process ends with a message: JAX leaves no error to raise, but aborts.

    Raises:
      InputError: only some of `VARIABLES` are set, or they do not fit together.
    """
    arguments = distributed_arguments(os.environ)
    if arguments is None:
        return
    coordinator = arguments.get("coordinator_address", "the one that the environment names")
    _log.info("joining the other processes; coordinator: %s", coordinator)
    message = (
        f"this process could not join the others within {JOIN_S} s (coordinator: {coordinator}). "
        "Start all processes, with the same coordinator and a number of their own. Process 0 listens at the "
        "coordinator's address: it must be that host's, and its port free, and open to the others."
    )
    patience = threading.Timer(JOIN_S, lambda: end(message))
    patience.daemon = True
    patience.start()
    try:
        jax.distributed.initialize(
            **arguments,
            initialization_timeout=2 * JOIN_S,
            heartbeat_timeout_seconds=LOST_S,
        )
    except (ValueError, RuntimeError) as error:
        raise InputError(f"this process could not join the others. {str(error)[:500]}") from error
    finally:
        patience.cancel()
    _log.info("process %d of %d", jax.process_index(), jax.process_count())
    if not is_writer():
        logging.getLogger("lad_jax").setLevel(logging.WARNING)


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """`join`, then the block; an error in it ends this process at once, so that the others notice.

    JAX's way to leave, which every other end takes, is to wait until all do.
    """
    join()
    try:
        yield
    except (Exception, KeyboardInterrupt):
        if jax.distributed.is_initialized():
            atexit.register(end)
        raise


def end(message: str = "") -> None:
    """End this process at once, with nothing saved and nobody waited for, and exit code 2."""
    if message:
        print(f"error: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(2)


def distributed_arguments(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Arguments of `jax.distributed.initialize`; None: this process is alone.

    JAX itself would take any Slurm job for one of several processes, and then show it a single GPU.

    Raises:
      InputError: only some of the `VARIABLES` are set, or they do not fit together.
    """
    given = {name: environ[name] for name in VARIABLES if environ.get(name)}
    if given and list(given) != [VARIABLES[0]]:
        return _from_variables(given)
    # A step's tasks, not the job's: a shell that Slurm gave four tasks is itself one.
    tasks = environ.get("SLURM_STEP_NUM_TASKS") or environ.get("OMPI_COMM_WORLD_SIZE") or "1"
    return {} if int(tasks) > 1 or given or _on_tpu(environ) else None


def _from_variables(given: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of `jax.distributed.initialize` by `VARIABLES`.

    Raises:
      InputError: a variable is missing, or not what it must be.
    """
    address, *numbers = (given.get(name, "") for name in VARIABLES)
    host, _, port = address.rpartition(":")
    if host and all(number.isdecimal() for number in (port, *numbers)):
        processes, process = map(int, numbers)
        if process < processes:
            return {"coordinator_address": address, "num_processes": processes, "process_id": process}
    raise InputError(
        f"the environment must have all of {', '.join(VARIABLES)}, or none: HOST:PORT of process 0, how many processes "
        f"there are, and another number for each, from 0; it has {', '.join(f'{k}={v}' for k, v in given.items())}."
    )


def _on_tpu(environ: Mapping[str, str]) -> bool:
    """Whether this is a TPU's host, in a pod or alone: there JAX can ask the pod's metadata.

    JAX sets TPU_SKIP_MDS_QUERY, when it is imported, where there are no chips.
    """
    wanted = environ.get("JAX_PLATFORMS", "") in ("", "tpu", "tpu,cpu")
    named = "TPU_WORKER_HOSTNAMES" in environ or "TPU_SKIP_MDS_QUERY" not in environ
    return wanted and named and importlib.util.find_spec("libtpu") is not None


def is_writer() -> bool:
    """Whether this is the one process, the first, that writes the run's files and shows its progress."""
    return jax.process_index() == 0


def check_alike(facts: Mapping[str, Any]) -> None:
    """Check that all processes are about to do the same. All must call it.

    Args:
      facts: what must be alike, as JSON can hold it, by name for messages.

    Raises:
      InputError: one differs.
    """
    digests = [hashlib.sha256(json.dumps(fact).encode()).digest() for fact in facts.values()]
    everyones = _gather(np.array([list(digest) for digest in digests], np.uint8))
    for name, column in zip(facts, np.swapaxes(everyones, 0, 1), strict=True):
        others = np.flatnonzero((column != column[0]).any(axis=1)).tolist()
        if others:
            raise InputError(
                f"{name} of process(es) {', '.join(map(str, others))} differ from those of process 0: start all "
                "processes with the same command, code and data."
            )


def check_first(fault: str) -> None:
    """Raise in all processes the fault that the first one has found. All must call it.

    Args:
      fault: why the run cannot start, by the first process; empty: it can.

    Raises:
      InputError: the run cannot start.
    """
    text = np.frombuffer(fault.encode()[:_LONGEST].ljust(_LONGEST, b"\0"), np.uint8)
    first = bytes(_gather(text)[0]).rstrip(b"\0").decode(errors="replace")
    if first:
        raise InputError(first)


def check_shared(folder: Path) -> None:
    """Check that `folder` is shared: what the first process writes there is there for the others. All must call it.

    Raises:
      InputError: it is not shared.
    """
    if jax.process_count() == 1:
        return
    file = folder / f".shared-{_gather(np.array(secrets.randbits(31), np.int32))[0]}"
    if is_writer():
        file.touch()
    _gather(np.zeros(1, np.uint8))  # now it is written
    seen = _gather(np.array([file.exists()]))
    if is_writer():
        file.unlink()
    if not seen.all():
        missing = ", ".join(map(str, np.flatnonzero(~seen).tolist()))
        raise InputError(
            f"workdir {folder} is not the same folder for all processes: {missing} did not find what process 0 wrote "
            "there. Take one on a file system that all hosts share."
        )


def _gather(values: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "P ..."]:
    """Values of all processes, stacked."""
    return process_allgather(values) if jax.process_count() > 1 else values[None]
