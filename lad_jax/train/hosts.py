"""A run on several hosts: one process each, joined by JAX's own runtime."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HostOptions:
    """How the processes of a run find each other."""

    coordinator: str = ""
    """`HOST:PORT` of process 0. Empty: what the environment says (Slurm and TPU pods do, and the variables
    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID); where it says nothing, a single process."""
    processes: int = 0
    """How many there are; for `coordinator`."""
    process: int = -1
    """The number of this one, from 0; for `coordinator`."""
