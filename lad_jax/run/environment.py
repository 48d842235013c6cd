"""Facts about where a run computes, which are noted at each of its starts: machine, versions, commit."""

import datetime
import functools
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

import lad_jax
from lad_jax.files import append_line, read_lines

FILE = "starts.jsonl"
LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")


def machine() -> str:
    """Kind and number of what computes, and the version of JAX: devices, or the cores that this process may use.

    Between kinds sums are taken in other orders: the last bits differ, and after a training so does the AP. On one kind
    of CPU a run gives the same bits again; on a GPU only with `train.deterministic`.
    """
    devices = jax.devices()
    if devices[0].platform != "cpu":
        return f"{len(devices)} x {devices[0].device_kind}, jax {jax.__version__}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{_processor()}, {cores} core{'s' if cores > 1 else ''}, jax {jax.__version__}"


def note_start(workdir: Path, step: int) -> None:
    """Append a line to `starts.jsonl`: step, time, machine, versions and commit of a run that starts or goes on."""
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    line = {"step": step, "time": now, "machine": machine(), "versions": versions(), "commit": commit()}
    append_line(workdir / FILE, line)


def read_starts(workdir: Path) -> list[dict[str, Any]]:
    """Lines that `note_start` has written, the first start first; damaged ones are left out."""
    return read_lines(workdir / FILE)[0]


@functools.cache
def versions() -> dict[str, str]:
    """Versions of this package, which need not be installed, and of the libraries that compute."""
    return {"lad-jax": lad_jax.__version__} | {name: version(name) for name in LIBRARIES}


@functools.cache
def commit() -> str:
    """Commit of the checkout that this package is imported from, with `-dirty` where files differ; empty: none."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return ""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=checkout, capture_output=True, text=True).stdout.strip()
    except OSError:  # no git here
        return ""


@functools.cache
def _processor() -> str:
    """Name, family and model of the CPU, as Linux knows it: virtual machines often hide the full name."""
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return platform.processor() or platform.machine()
    first, *_ = file.read_text().split("\n\n")
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    name = facts.get("model name", platform.machine())
    return f"{name} ({facts['cpu family']}.{facts['model']})" if "cpu family" in facts else name
