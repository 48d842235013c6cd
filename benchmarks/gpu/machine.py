"""What a device can do at most, and the versions of what runs on it.

    python -m benchmarks.gpu.machine
    python -m benchmarks.gpu.machine --small

Products of matrices and 3x3 convolutions of the head's sizes in bfloat16, a pass over memory, and what it costs to
start a program and to turn a loop: one of known length, and one whose end the host asks for.
"""

import importlib.metadata
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from absl import app, flags

from benchmarks._measure import machine, median_ms, print_table, write_json

FLAGS = flags.FLAGS
flags.DEFINE_bool("small", False, "Small sizes, which say nothing.")
flags.DEFINE_string("json", "", "File to write the figures to.")

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "torch", "torchvision")
TURNS = 200


def seconds_of(function: Callable[..., Any], *args: Any) -> float:
    """Median of ten runs of a program."""
    return median_ms(jax.jit(function), *args, runs=10) / 1e3


def products() -> dict[str, float]:
    """TFLOP/s of a product of matrices, and of convolutions of 16 pictures on the head's levels."""
    size, levels = (256, [(8, 8)]) if FLAGS.small else (8192, [(100, 168), (50, 84), (25, 42), (13, 21), (7, 11)])
    matrix, kernel = jnp.ones((size, size), jnp.bfloat16), jnp.ones((3, 3, 256, 256), jnp.bfloat16)
    found = {"matrices, TFLOP/s": 2 * size**3 / seconds_of(jnp.matmul, matrix, matrix) / 1e12}

    def convolve(x: Any, kernel: Any) -> Any:
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    for height, width in levels:
        seconds = seconds_of(convolve, jnp.ones((16, height, width, 256), jnp.bfloat16), kernel)
        flop = 2 * kernel.size * 16 * height * width
        found[f"3x3 convolution, {height}x{width}, TFLOP/s"] = flop / seconds / 1e12
    return found


def memory() -> dict[str, float]:
    """TB/s of reading and writing an array."""
    x = jnp.ones(2**16 if FLAGS.small else 2**30)
    return {"a pass over memory, TB/s": 2 * x.nbytes / seconds_of(lambda x: x * 1.0001, x) / 1e12}


def launches() -> dict[str, float]:
    """Microseconds of a program of one kernel, and of a turn of loops."""
    x = jnp.ones(8)

    def asking(turns: int) -> Callable[..., Any]:
        return lambda x: jax.lax.while_loop(lambda s: s.sum() < 8 * turns, lambda s: s + 1, x)

    def counting(turns: int) -> Callable[..., Any]:
        return lambda x: jax.lax.scan(lambda s, _: (jnp.sin(s), s.sum()), x, length=turns)[0]

    def turn(loop: Callable[[int], Callable[..., Any]]) -> float:
        return 1e6 * (seconds_of(loop(TURNS + 10), x) - seconds_of(loop(10), x)) / TURNS

    return {
        "a program of one kernel, us": 1e6 * seconds_of(lambda x: x + 1, x),
        "a turn of a loop whose end is asked for, us": turn(asking),
        "a turn of a loop of known length, us": turn(counting),
    }


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def main(_: list[str]) -> None:
    versions, figures = {name: version(name) for name in PACKAGES}, products() | memory() | launches()
    print(f"{machine()}\n")
    if shutil.which("nvidia-smi"):
        print(subprocess.run(["nvidia-smi"], capture_output=True, text=True).stdout)
    print_table([{"package": name, "version": number} for name, number in versions.items()])
    print_table([{"": name, "at most": value} for name, value in figures.items()])
    write_json(FLAGS.json, {"title": machine(), "versions": versions, "figures": figures})


if __name__ == "__main__":
    app.run(main)
