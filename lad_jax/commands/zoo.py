"""List the trained detectors that can be fetched by name, or fetch one.

    python -m lad_jax zoo
    python -m lad_jax zoo lad_r50_r101_1x

Where a trained network is asked for, `zoo:NAME` is one of them (docs/zoo.md), which is fetched when it is first used.
"""

from lad_jax.paths import ZOO_PREFIX, cache_folder
from lad_jax.run.sources import cached, local_checkpoint
from lad_jax.weights.zoo import ZOO

COLUMNS = ("name", "AP", "config", "size", "cached")
LEGEND = (
    "AP: on COCO's val2017, as mmdetection has published it. Sizes are not known before a file is fetched.\n"
    "Files are fetched from https://download.openmmlab.com and kept in {folder}."
)


def define_flags() -> None:
    """Define the flags of this command: none."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    if arguments[1:]:
        print(local_checkpoint(f"{ZOO_PREFIX}{arguments[1].removeprefix(ZOO_PREFIX)}", "the name"))
    else:
        print(listing())


def listing() -> str:
    """The detectors as a table, and what is in the cache."""
    rows = [COLUMNS, *((f"{ZOO_PREFIX}{name}", str(ZOO[name].ap), ZOO[name].config, *_cache(name)) for name in ZOO)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, "", LEGEND.format(folder=cache_folder("zoo"))])


def _cache(name: str) -> tuple[str, str]:
    """Size of the file, and what the cache has of it."""
    file = cache_folder("zoo") / ZOO[name].file
    size = f"{file.stat().st_size / 1e6:.0f} MB" if file.exists() else "unknown"
    return size, "yes" if cached(name) else "file" if file.exists() else "no"
