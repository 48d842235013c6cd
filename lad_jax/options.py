"""All options of a run: what a config file sets."""

from dataclasses import dataclass
from typing import Literal

from lad_jax.assign import AssignerOptions
from lad_jax.data import DataOptions
from lad_jax.distill import METHODS, Method
from lad_jax.evaluation.evaluator import EvaluationOptions
from lad_jax.models import ModelOptions
from lad_jax.train.optimizer import OptimizerOptions
from lad_jax.types import Network


@dataclass(frozen=True)
class TeacherOptions:
    """The second network, for methods that have one."""

    path: str = ""
    """A workdir (its best checkpoint is taken) or one checkpoint's folder. Needed where the teacher is frozen; where
    it learns too (CoLAD) the starting weights, or empty for a teacher from scratch."""
    network: Network = "student"
    """Which network of that checkpoint."""
    model: ModelOptions = ModelOptions()


@dataclass(frozen=True)
class TrainOptions:
    """How long, how many at a time, and what is kept."""

    batch_size: int = 16
    """Pictures a step, over all devices."""
    epochs: int = 12
    eval_every: int = 1
    """Evaluate after every so many epochs, and after the last."""
    checkpoint_every: int = 1000
    """Steps between checkpoints, besides the one of each evaluation."""
    log_every: int = 50
    """Steps between lines of the log."""
    devices: int = 0
    """How many devices to use; 0: all."""

    def __post_init__(self) -> None:
        for name in ["batch_size", "epochs", "eval_every", "checkpoint_every", "log_every"]:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True)
class RunOptions:
    """A run, whole."""

    method: Literal["paa", "lad", "dynamic_lad", "colad"] = "paa"
    seed: int = 0
    model: ModelOptions = ModelOptions()
    """The student."""
    teacher: TeacherOptions = TeacherOptions()
    assigner: AssignerOptions = AssignerOptions()
    data: DataOptions = DataOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    train: TrainOptions = TrainOptions()
    evaluation: EvaluationOptions = EvaluationOptions()

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must not be negative")
        policy = METHODS[self.method]
        if self.evaluation.network not in policy.trained:
            raise ValueError(
                f"evaluation.network is {self.evaluation.network!r}, which method {self.method!r} does not train; "
                f"allowed: {', '.join(map(repr, policy.trained))}"
            )
        if "teacher" in policy.networks:
            for name in ["first_level", "n_levels", "anchor_scale"]:
                ours, theirs = getattr(self.model, name), getattr(self.teacher.model, name)
                if ours != theirs:
                    raise ValueError(
                        f"student and teacher exchange costs of the same priors, but model.{name} is {ours} "
                        f"and teacher.model.{name} is {theirs}"
                    )

    @property
    def policy(self) -> Method:
        return METHODS[self.method]

    def model_of(self, network: Network) -> ModelOptions:
        return self.model if network == "student" else self.teacher.model
