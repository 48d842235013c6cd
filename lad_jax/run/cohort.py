"""All networks of a run, also the frozen teacher from where it lies, and what they decide by."""

from collections.abc import Iterable
from pathlib import Path

from jaxtyping import Array, Float, Int

from lad_jax.assign import Assigner, make_assigner
from lad_jax.assign.outside import is_outside
from lad_jax.data.canvases import Canvas
from lad_jax.distill import networks_with_costs
from lad_jax.errors import InputError
from lad_jax.options import RunOptions
from lad_jax.priors import make_priors, within
from lad_jax.run import checkpoint
from lad_jax.run.build import make_model
from lad_jax.run.sources import local_checkpoint
from lad_jax.train.state import Variables
from lad_jax.types import GroundTruth, Network, Scene


def load_variables(folder: Path, options: RunOptions, networks: Iterable[Network]) -> dict[Network, Variables]:
    """The variables of networks of the run that has saved the checkpoint in `folder`.

    Raises:
      InputError: one of them cannot be read; or the frozen teacher is not where `config.teacher.path` says, or is not
        the one that the run was trained with.
    """
    return {
        name: checkpoint.read_variables(folder, name)
        if name in options.roles.trained
        else load_teacher(folder, options)
        for name in networks
    }


def load_teacher(folder: Path, options: RunOptions) -> Variables:
    """The variables of the frozen teacher of the run that has saved the checkpoint in `folder`.

    Raises:
      InputError: see `load_variables`.
    """
    meta, teacher = checkpoint.read_meta(folder), options.teacher
    if not teacher.path:
        raise InputError(
            f"the run of {folder} had a frozen teacher, but its config.teacher.path is empty: give lad_jax.explain the "
            "teacher as teacher=…"
        )
    model = make_model(options, "teacher", len(meta.class_names))
    place = local_checkpoint(teacher.path, "config.teacher.path")
    variables = checkpoint.load_network(place, teacher.network, model, meta.class_names, options.key_of("teacher"))
    if meta.teacher and checkpoint.digest(variables) != meta.teacher["digest"]:
        raise InputError(
            f"the teacher at {place} is not the one that {folder} was trained with: their weights differ. If that was "
            "moved, give it to lad_jax.explain as teacher=…"
        )
    return variables


def assigner_of(options: RunOptions) -> Assigner:
    """The assigner of a run that was trained.

    Raises:
      InputError: it is from outside of the package: a checkpoint must not name code that runs.
    """
    if is_outside(options.assigner.name):
        raise InputError(
            f"the assigner {options.assigner.name} is from outside of the package, and only training imports one: "
            "give it to lad_jax.explain as assigner=…; a report has what a run has recorded while it trained."
        )
    return make_assigner(options.assigner)


def networks_of(options: RunOptions, assigner: Assigner) -> tuple[Network, ...]:
    """Networks of a run whose costs are of interest, see `networks_with_costs`."""
    roles = options.roles
    return networks_with_costs(roles, assigner, {name: options.model_of(name).iou_branch for name in roles.networks})


def scene_of(
    options: RunOptions, canvas: Canvas, image_hw: Int[Array, "2"], truth: GroundTruth, progress: Float[Array, ""]
) -> Scene:
    """The scene of one picture of a run.

    Args:
      options: say where priors lie.
      canvas, image_hw: height and width of the canvas and of the picture on it [pixels].
      truth: its objects.
      progress: share of the training that is over.
    """
    priors = make_priors(canvas, options.model.strides, options.model.anchor_scale)
    return Scene(within(priors, image_hw), truth, image_hw, progress)
