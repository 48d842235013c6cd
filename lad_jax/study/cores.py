"""The cores of this machine, divided among runs."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

from lad_jax.errors import InputError

Cores = tuple[int, ...]
"""Numbers of cores; empty where the system cannot confine a process to some."""


def machine_of(cores: Sequence[int]) -> str:
    """Kind of machine that a run with these cores finds; asked in a process of its own, since it opens the devices.

    Raises:
      InputError: the process failed.
    """
    program = "from lad_jax.run.environment import machine; print(machine())"
    with confined(cores):
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if result.returncode:
        raise InputError(f"JAX finds no device here:\n{result.stderr[-2000:]}")
    return result.stdout.strip()


def shares(parallel: int) -> list[Cores]:
    """Equal shares of the cores that this process may use; empty ones where the system knows no such thing.

    Raises:
      InputError: there are fewer cores than runs.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [()] * parallel
    cores = sorted(os.sched_getaffinity(0))
    size = len(cores) // parallel
    if not size:
        raise InputError(f"--parallel is {parallel}, but there are {len(cores)} core(s).")
    return [tuple(cores[i * size : (i + 1) * size]) for i in range(parallel)]


@contextlib.contextmanager
def confined(cores: Sequence[int]) -> Iterator[None]:
    """Give processes that are started in the block these cores only: their threads do not fight with others'."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
