"""Programs that are compiled before they are needed: one for each canvas, and none for any other."""

import concurrent.futures
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax.sharding import Sharding

from lad_jax.data import Plan, blank_batches
from lad_jax.data.canvases import Canvas
from lad_jax.paths import cache_folder
from lad_jax.types import Batch, Pictures

_log = logging.getLogger(__name__)


class Job(NamedTuple):
    """A compilation: name for the log, and function."""

    what: str
    compile: Callable[[], Any]


class Programs:
    """A function whose last argument has a canvas, as one program for each; any other canvas is an error."""

    def __init__(self, what: str, jitted: Any, batches: Mapping[Canvas, Batch | Pictures]) -> None:
        """
        Args:
          what: the function, for the log and for errors.
          jitted: the function, from `jax.jit`.
          batches: of each canvas, the shapes of the last argument and where they lie (`shapes_of`).
        """
        self._what, self._jitted, self._batches = what, jitted, batches
        self._compiled: dict[Canvas, Any] = {}

    def __len__(self) -> int:
        return len(self._batches)

    def jobs(self, *arguments: Any) -> list[Job]:
        """Compilations that have not been done. `arguments`: those before the batch, or their shapes."""

        def job(canvas: Canvas) -> Job:
            def compile() -> Any:
                program = self._jitted.lower(*arguments, self._batches[canvas]).compile()
                self._compiled[canvas] = program
                return program

            return Job(f"{self._what}, canvas {canvas[0]}x{canvas[1]}", compile)

        return [job(canvas) for canvas in self._batches if canvas not in self._compiled]

    def memory(self) -> list[int]:
        """What each compiled program takes of a device, by the compiler [bytes]."""
        found = [program.memory_analysis() for program in self._compiled.values()]
        return [
            m.argument_size_in_bytes + m.output_size_in_bytes - m.alias_size_in_bytes + m.temp_size_in_bytes
            for m in found
        ]

    def __call__(self, *arguments: Any) -> Any:
        canvas = arguments[-1].canvas
        if canvas not in self._compiled:
            raise RuntimeError(f"{self._what}: canvas {canvas} is none of those compiled: {list(self._compiled)}")
        return self._compiled[canvas](*arguments)


def keep_programs() -> None:
    """Keep compiled programs on the disk for other processes, unless JAX was given a folder for them."""
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(cache_folder("jax")))


def shapes_of(tree: Any, layout: Sharding | None = None) -> Any:
    """Shapes and types of arrays, and where they lie, or would lie by `layout`: what a program is compiled for."""

    def shape(x: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding if layout is None else layout)

    return jax.tree.map(shape, tree)


def blank_shapes(plan: Plan, layout: Sharding) -> dict[Canvas, Batch]:
    """The shapes of a batch for each canvas of a plan; `layout` says where the arrays of a batch lie."""
    return {canvas: shapes_of(batch, layout) for canvas, batch in blank_batches(plan).items()}


def at_once() -> int:
    """Number of compilations side by side: Python traces one while XLA's threads compile others; each takes memory.

    On a GPU one after the other: XLA times kernels there. Programs side by side time the same ones again, which takes
    longer (openxla/xla#41620), and hold each other up, which spoils the times (openxla/xla#41399). Hosts share their
    times, so they compile in the same order.
    """
    return 1 if jax.default_backend() == "gpu" else min(4, os.cpu_count() or 1)


@contextlib.contextmanager
def compiling(jobs: Sequence[Job]) -> Iterator[None]:
    """Run jobs while the block runs; all are done when it is left.

    After an error of the block or of a job, those that have not started are dropped.
    """
    with concurrent.futures.ThreadPoolExecutor(at_once(), "compile") as pool:
        try:
            futures = {pool.submit(_timed, job.compile): job for job in jobs}
            yield
            for number, future in enumerate(concurrent.futures.as_completed(futures), start=1):
                program, seconds = future.result()
                _log.info(
                    "compiled program %d of %d: %s, in %.0f s; it takes %.0f MB besides its arguments",
                    *(number, len(jobs), futures[future].what, seconds),
                    program.memory_analysis().temp_size_in_bytes / 1e6,
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """Result of `action`, and the seconds that it took."""
    since = time.monotonic()
    return action(), time.monotonic() - since
