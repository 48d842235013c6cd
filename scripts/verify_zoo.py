"""Measure the AP of the zoo's detectors on COCO's val2017, and write it beside the published one.

    COCO=data/coco python -m scripts.verify_zoo --output=runs/zoo
    COCO=data/coco python -m scripts.verify_zoo --output=runs/zoo lad_r50_r101_1x -- --config.evaluation.batch_size=8

The environment variable COCO is the folder of COCO 2017, with annotations/ and val2017/. Detectors are fetched where
they are not in the cache. What has been measured is not measured again; the table is OUTPUT/table.md.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from lad_jax import cli
from lad_jax.commands.flags import define_path
from lad_jax.errors import InputError
from lad_jax.run.configs import load_options
from lad_jax.run.evaluate import evaluate
from lad_jax.run.sources import local_checkpoint
from lad_jax.weights.zoo import ZOO, find

FLAGS = flags.FLAGS
_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> None:
    names = [word for word in arguments[1:] if not word.startswith("-")]
    for name in names:
        find(name, "the name")
    changes = [word for word in arguments[1:] if word.startswith("-")]  # those after --
    print(verify(names or list(ZOO), FLAGS.output, changes))


def verify(names: Sequence[str], output: Path, changes: Sequence[str]) -> str:
    """Measure detectors, and write a table after each; one that cannot be measured has no AP there.

    Args:
      names: of the detectors.
      output: folder of the table, with one for each detector.
      changes: arguments that change their configs.

    Returns:
      The table in Markdown.
    """
    table = ""
    for number, name in enumerate(names, start=1):
        try:
            _measure(name, output / name, changes)
        except InputError as error:
            _log.error("%s: %s", name, error)
        output.mkdir(parents=True, exist_ok=True)
        table = "\n".join(["| detector | published AP | AP here | difference |", "|---|---|---|---|"])
        table += "".join(f"\n{_row(done, output / done)}" for done in names[:number]) + "\n"
        (output / "table.md").write_text(table)
    return table


def _measure(name: str, workdir: Path, changes: Sequence[str]) -> None:
    """Evaluate a detector, unless it is done; results go to `workdir`."""
    if (workdir / "metrics.json").exists():
        return
    folder = local_checkpoint(f"zoo:{name}", "the name")
    workdir.mkdir(parents=True, exist_ok=True)
    checkpoints = workdir / "checkpoints"
    checkpoints.unlink(missing_ok=True)
    checkpoints.symlink_to(folder.parent)
    evaluate(load_options(ZOO[name].config, changes), workdir)


def _row(name: str, workdir: Path) -> str:
    published, file = ZOO[name].ap, workdir / "metrics.json"
    if not file.exists():
        return f"| `zoo:{name}` | {published} | – | – |"
    ap = 100 * json.loads(file.read_text())["student"]["overall"]["AP"]
    return f"| `zoo:{name}` | {published} | {ap:.1f} | {ap - published:+.1f} |"


if __name__ == "__main__":
    define_path("output", "runs/zoo", "Folder for the results.")
    cli.start(main, cli.Takes(words=None, more=True))
