"""Building the networks of a run, and loading the weights that they start from."""

import logging
from dataclasses import dataclass
from pathlib import Path

import jax

from lad_jax.config import from_config
from lad_jax.data import DataOptions, DataSet
from lad_jax.errors import InputError
from lad_jax.models import Detector
from lad_jax.options import RunOptions, TeacherOptions, run_name
from lad_jax.paths import is_published
from lad_jax.run import checkpoint
from lad_jax.run.build import make_models
from lad_jax.run.sources import local_checkpoint
from lad_jax.run.starting_weights import Origin, starting_weights
from lad_jax.train.state import Variables, init_variables
from lad_jax.types import Network

_log = logging.getLogger(__name__)
_NORMALISATION = ("channel_order", "pixel_mean", "pixel_std")
"""Options of a network that say how it normalises pictures."""


@dataclass(frozen=True)
class Networks:
    """Networks of a run, with the variables that they start from."""

    models: dict[Network, Detector]
    trained: dict[Network, Variables]
    frozen: dict[Network, Variables]
    teacher: dict[str, str]
    """Path and digest of a frozen teacher, else empty."""
    pretrained: dict[Network, Origin]
    """Origins of the weights that networks or their backbones start from, where they were loaded here."""


def make_networks(options: RunOptions, dataset: DataSet, *, resuming: bool) -> Networks:
    """Build the method's networks; load the weights that they start from, and the teacher's.

    Args:
      options: options of the run.
      dataset: data set that gives the classes.
      resuming: whether trained networks will be restored, so that their starting weights are not needed.

    Raises:
      InputError: pretrained weights or a teacher that are missing, damaged or do not fit.
    """
    names = options.roles.networks
    if options.roles.frozen and not options.teacher.path:
        raise InputError(f"method {options.method!r} needs a trained teacher: set config.teacher.path to its workdir.")
    models = make_models(options, len(dataset.class_names))
    start: dict[Network, Variables] = {}
    teacher: dict[str, str] = {}
    origins: dict[Network, Origin] = {}
    # The student comes first and draws from the seed itself, whatever the method: its starting weights are the same.
    for number, name in enumerate(names):
        frozen = name in options.roles.frozen
        if frozen or (not resuming and name in options.others and options.others[name].path):
            start[name] = _load(name, models[name], dataset, options)
            if frozen:
                teacher = {"path": options.teacher.path, "digest": checkpoint.digest(start[name])}
        elif resuming:
            start[name] = init_variables(models[name], options.seed + number)
        else:
            start[name], origins[name] = starting_weights(
                models[name], dataset.class_names, options.seed + number, options.key_of(name)
            )
        count = sum(x.size for x in jax.tree.leaves(start[name]["params"]))
        _log.info("%s: %.2f M parameters%s", name, count / 1e6, " (frozen)" if frozen else "")
    return Networks(
        models,
        trained={name: start[name] for name in options.roles.trained},
        frozen={name: start[name] for name in options.roles.frozen},
        teacher=teacher,
        pretrained={name: origin for name, origin in origins.items() if origin},
    )


def _load(name: Network, model: Detector, dataset: DataSet, options: RunOptions) -> Variables:
    """The variables of a network that `path` of its options names; the log says how its pictures are prepared."""
    other, key = options.others[name], options.key_of(name)
    folder = _starting_checkpoint(other, key.removesuffix("model") + "path")
    variables = checkpoint.load_network(folder, other.network, model, dataset.class_names, key)
    _log.info("%s: the %s of %s", name, other.network, folder)
    theirs = from_config(RunOptions, checkpoint.read_meta(folder).config)
    for line in preparation_lines(name, theirs.data, options):
        _log.warning("%s", line)
    return variables


def preparation_lines(name: Network, theirs: DataOptions, options: RunOptions) -> list[str]:
    """Lines about pictures that are prepared otherwise than a network from a checkpoint, or the student, takes them.

    Args:
      name: name of the network in this run.
      theirs: data options of the run that trained it.
      options: options of this run.
    """
    lines, ours = [], options.data
    (low, high), (least, most) = _short_sides(theirs), _short_sides(ours)
    if theirs.long_side != ours.long_side or not low <= least <= most <= high:
        lines.append(
            f"! {name}: was trained on pictures resized to {_sizes(theirs)}, but here they are resized to "
            f"{_sizes(ours)}: it meets objects of other sizes than it knows, and may predict worse. Set config.data "
            "to its sizes, or train it at these"
        )
    network, student = options.model_of(name), options.model
    if differing := [key for key in _NORMALISATION if getattr(network, key) != getattr(student, key)]:
        its, students = (", ".join(f"{key} {getattr(m, key)}" for key in differing) for m in (network, student))
        lines.append(f"{name} takes {its}; the student {students}: each normalises its pictures as it was trained to")
    return lines


def _short_sides(data: DataOptions) -> tuple[int, int]:
    """Smallest and largest short side of training pictures."""
    sides = data.short_sides or (data.short_side,)
    return min(sides), max(sides)


def _sizes(data: DataOptions) -> str:
    low, high = _short_sides(data)
    key, sides = ("short_side", low) if low == high else ("short_sides", f"{low} to {high}")
    return f"{key} {sides}, long_side {data.long_side}"


def _starting_checkpoint(origin: TeacherOptions, key: str) -> Path:
    """Folder of the checkpoint that a network starts from; where there is none, the error says what trains it.

    `key` is the config key of its path.
    """
    try:
        return local_checkpoint(origin.path, key)
    except InputError as error:
        if not origin.config or is_published(origin.path):
            raise
        workdir = f"runs/{run_name(origin.config)}"
        elsewhere = "" if Path(origin.path) == Path(workdir) else f" That is then in {workdir}: set {key} to it."
        raise InputError(
            f"{error} It is trained by {origin.config}: `python -m lad_jax recipe {origin.config} --run` does so, its "
            f"teachers first.{elsewhere}"
        ) from None
