"""All options of a run: the keys of a config file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lad_jax.assign import ASSIGNERS, Assigner, AssignerOptions, make_assigner
from lad_jax.data import DataOptions
from lad_jax.distill import METHODS, Method, SwitchOptions
from lad_jax.evaluation.evaluator import EvaluationOptions
from lad_jax.fields import check_range, option
from lad_jax.losses import FreeAnchorOptions, LossOptions, SoftOptions
from lad_jax.mesh import MeshOptions
from lad_jax.models import ModelOptions
from lad_jax.train.optimizer import OptimizerOptions
from lad_jax.types import Network, Precision


@dataclass(frozen=True)
class TeacherOptions:
    """Options of a second or further network, for methods that have one."""

    path: str = option("", may_change=True, source=True)
    """Workdir (its best checkpoint is taken), folder of one checkpoint, or `zoo:NAME` (docs/zoo.md). Needed where the
    teacher is frozen; where it is trained too (CoLAD) the starting weights, or empty for a teacher from scratch."""
    network: Network = "student"
    """Name of the network in the checkpoint at `path`."""
    config: str = option("", may_change=True)
    """Config that trains the network; empty: none is known. The command `recipe` follows the teacher's, no peer's."""
    model: ModelOptions = ModelOptions()
    """Architecture of the network."""


def run_name(config: str) -> str:
    """The folder in `runs` where `python -m lad_jax recipe` trains a config: `configs/NAME.py` in NAME,
    `configs/NAME.py:VARIANT` in NAME_VARIANT."""
    path, _, variant = config.partition(":")
    return "_".join([Path(path).stem, *filter(None, [variant])])


@dataclass(frozen=True)
class TrainOptions:
    """Options of the training loop."""

    batch_size: int = 16
    """Pictures of a step, over all devices."""
    accumulate: int = option(1, may_change=True)
    """Number of parts in which a step takes its pictures, one after the other: less memory, the same result but
    for what Swin's drop path draws. Meant for accelerators: on a CPU convolutions in a loop are slow
    (docs/performance.md)."""
    epochs: int = 12
    """Times that the run trains on each picture."""
    eval_every: int = option(1, may_change=True)
    """Epochs between evaluations; the last epoch ends with one."""
    patience: int = option(0, may_change=True)
    """Number of evaluations in a row without a better AP after which the run ends before its last epoch; 0: it does
    not. What was to come at its end, such as a lower learning rate, is then missed."""
    checkpoint_every: int = option(1000, may_change=True)
    """Steps between checkpoints; each evaluation has one too."""
    log_every: int = option(50, may_change=True)
    """Steps between lines of the log."""
    gradients: Precision = "float32"
    """Type in which the gradients of several devices are summed."""
    on_non_finite: Literal["skip", "stop"] = option("skip", may_change=True)
    """Action where the loss or its gradient is not finite: leave the step out, or end the run."""
    max_skipped: int = option(10, may_change=True)
    """Largest number of steps in a row that may be left out; more end the run."""
    watchdog_s: float = option(600.0, may_change=True)
    """Time without any progress after which the log says what the run waits for; 0: never [seconds]."""
    deterministic: bool = option(False, may_change=True)
    """Whether a GPU gives the same bits each time; slower."""

    def __post_init__(self) -> None:
        check_range(self, "batch_size", "accumulate", "epochs", "max_skipped", least=1)
        check_range(self, "eval_every", "checkpoint_every", "log_every", least=1)
        check_range(self, "watchdog_s", "patience", least=0)
        if self.batch_size % self.accumulate:
            raise ValueError(f"accumulate is {self.accumulate}, which does not divide batch_size ({self.batch_size})")


@dataclass(frozen=True)
class ReportOptions:
    """Options of what a run records for `lad-jax report`."""

    pictures: int = 16
    """Number of validation pictures of which each evaluation records who is responsible, and why; 0: none. They are the
    first with objects, in the order of the evaluation."""

    def __post_init__(self) -> None:
        check_range(self, "pictures", least=0)


@dataclass(frozen=True)
class RunOptions:
    """All options of a run."""

    method: Literal["plain", "soft_label", "lad", "solad", "dynamic_lad", "colad", "free_anchor"] = "plain"
    """Method of training: which networks are trained, whose costs assign, and which losses count (docs/methods.md)."""
    seed: int = 0
    """Seed of the first weights, the order of the pictures, their augmentation and stochastic depth."""
    dtype: Precision = "float32"
    """Type in which the convolutions of all networks compute, the frozen ones' too; docs/performance.md has what stays
    float32."""
    model: ModelOptions = ModelOptions()
    """Architecture of the student."""
    teacher: TeacherOptions = TeacherOptions()
    peers: tuple[TeacherOptions, ...] = ()
    """Networks that CoLAD trains together with student and teacher; their names are `peer_1`, `peer_2`, …"""
    switch: SwitchOptions = SwitchOptions()
    assigner: AssignerOptions = AssignerOptions()
    losses: LossOptions = LossOptions()
    soft_label: SoftOptions = SoftOptions(class_weight=10.0)
    """The soft term of method `soft_label`, with the released weights."""
    solad: SoftOptions = SoftOptions(class_weight=2.0)
    """The soft term of method `solad`, with the released weights."""
    free_anchor: FreeAnchorOptions = FreeAnchorOptions()
    """The loss of method `free_anchor`."""
    data: DataOptions = DataOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    train: TrainOptions = TrainOptions()
    mesh: MeshOptions = option(MeshOptions(), may_change=True)
    evaluation: EvaluationOptions = option(EvaluationOptions(), may_change=True)
    report: ReportOptions = option(ReportOptions(), may_change=True)
    debug: bool = option(False, may_change=True)
    """Whether the first value that is not finite ends the run with an error that names its layer. The host then waits
    for every step."""

    def __post_init__(self) -> None:
        check_range(self, "seed", least=0)
        self._check_networks()
        self._check_normaliser()
        self._check_priors()
        self._check_soft()
        self._check_bag()
        if self.assigner.name in ASSIGNERS:
            self.check_assigner(make_assigner(self.assigner))

    def _check_networks(self) -> None:
        """Check that the networks in the options are the method's."""
        if self.peers and self.method != "colad":
            raise ValueError(f"peers are trained by method 'colad', but method is {self.method!r}")
        if self.teacher.path and "teacher" not in self.roles.networks:
            raise ValueError(
                f"teacher.path is {self.teacher.path!r}, but method {self.method!r} has no teacher; methods with one: "
                f"{', '.join(name for name, method in METHODS.items() if 'teacher' in method.networks)}"
            )
        for name, other in self.others.items():
            if other.path and other.model.pretrained:
                key = self.key_of(name).removeprefix("config.")
                raise ValueError(
                    f"{key.removesuffix('model')}path is {other.path!r} and {key}.pretrained "
                    f"{other.model.pretrained!r}, but the network can start from one of them only"
                )
        if self.evaluation.network not in self.roles.trained:
            raise ValueError(
                f"evaluation.network is {self.evaluation.network!r}, which method {self.method!r} does not train; "
                f"allowed: {', '.join(map(repr, self.roles.trained))}"
            )

    def _check_normaliser(self) -> None:
        pictures = self.losses.normaliser_pictures
        if pictures and self.train.batch_size % pictures:
            raise ValueError(
                f"losses.normaliser_pictures is {pictures}, which does not divide train.batch_size "
                f"({self.train.batch_size})"
            )

    def _check_priors(self) -> None:
        """Check that all networks have the same priors."""
        for network in self.roles.networks:
            for name in ["first_level", "n_levels", "anchor_scale"]:
                ours, theirs = getattr(self.model, name), getattr(self.model_of(network), name)
                if ours != theirs:
                    raise ValueError(
                        "the networks exchange costs of the same priors, but "
                        f"config.model.{name} is {ours} and {self.key_of(network)}.{name} is {theirs}"
                    )

    def _check_soft(self) -> None:
        """Check that networks whose IoU branches are compared have one."""
        if "soft" not in self.roles.losses or not self.soft.quality_weight:
            return
        for network in self.roles.networks:
            if not self.model_of(network).iou_branch:
                raise ValueError(
                    f"{self.method}.quality_weight is {self.soft.quality_weight}, but "
                    f"{self.key_of(network)} has no IoU branch: set it to 0, or iou_branch"
                )

    def _check_bag(self) -> None:
        """Check that no branch is left untrained by the bag loss."""
        if "bag" in self.roles.losses and self.model.iou_branch:
            raise ValueError(
                f"method {self.method!r} does not train the IoU branch, which would still scale the scores: "
                "set config.model.iou_branch=False"
            )

    def check_assigner(self, assigner: Assigner) -> None:
        """Check that method and losses fit what an assigner brings along.

        Raises:
          ValueError: they do not; names both, and the remedy.
        """
        name, roles = self.assigner.name, self.roles
        if assigner.static and roles.losses == ("detection",) and roles.costs_from != ("student",):
            raise ValueError(
                f"assigner {name!r} assigns by boxes alone, so its table is the same for every network, and method "
                f"{self.method!r} by it is {name!r} itself: use method 'plain'"
            )
        without = [network for network in roles.costs_from if not self.model_of(network).iou_branch]
        if assigner.needs_quality and without:
            raise ValueError(
                f"costs of assigner {name!r} as it is set need predicted IoUs, but {self.key_of(without[0])} has no "
                "IoU branch: set iou_branch, or of 'simota' the form 'mmdet'"
            )
        if "detection" not in roles.losses:
            return
        if assigner.soft_target and self.losses.class_loss == "focal":
            raise ValueError(
                f"losses.class_loss is 'focal', which has no place for the soft targets of assigner {name!r}: use "
                "'quality_focal' or 'assigner'"
            )
        if assigner.soft_target and self.losses.box_weighting != "method":
            raise ValueError(
                f"losses.box_weighting is {self.losses.box_weighting!r}, but boxes are weighted by the soft targets of "
                f"assigner {name!r}: use 'method'"
            )

    @property
    def roles(self) -> Method:
        """Row of the method, with this run's peers."""
        method = METHODS[self.method]
        peers = tuple(name for name in self.others if name != "teacher")
        return replace(method, trained=(*method.trained, *peers), costs_from=(*method.costs_from, *peers))

    @property
    def soft(self) -> SoftOptions:
        """Options of the soft loss, for a method that has one."""
        return self.solad if self.method == "solad" else self.soft_label

    @property
    def others(self) -> dict[Network, TeacherOptions]:
        """Options of the networks beside the student, by name."""
        return {"teacher": self.teacher, **{f"peer_{i}": peer for i, peer in enumerate(self.peers, start=1)}}

    def model_of(self, network: Network) -> ModelOptions:
        """Options of a network.

        Raises:
          ValueError: there is no network of that name.
        """
        models = {"student": self.model, **{name: other.model for name, other in self.others.items()}}
        if network not in models:
            raise ValueError(f"there is no network {network!r}, but {', '.join(models)}")
        return models[network]

    def key_of(self, network: Network) -> str:
        """Config key of a network's model, for messages."""
        keys = {"student": "config.model", "teacher": "config.teacher.model"}
        return keys.get(network) or f"config.peers[{list(self.others).index(network) - 1}].model"
