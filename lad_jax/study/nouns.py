"""What a study is: conditions, seeds and data sets, and which conditions are compared with which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lad_jax.types import Network


@dataclass(frozen=True)
class Condition:
    """A way of training, whose runs a study compares with those of another."""

    label: str
    """Name in tables."""
    config: str
    """Config file, with a variant after a colon where it has some; `{data}` stands for the name of the data set."""
    teacher: str = ""
    """Condition whose run of the same seed and data is this one's teacher; empty: none."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Options with other values than the config gives, by dotted key."""
    start: str = ""
    """Condition whose run of the same seed is the detector that this one's student starts from; empty: none."""


@dataclass(frozen=True)
class Comparison:
    """Two networks that differ in one thing: the difference of their AP, seed by seed, is what a study reports."""

    condition: str
    baseline: str
    network: Network = "student"
    """Network of the condition's run."""
    baseline_network: Network = "student"
    """Network of the baseline's run."""


@dataclass(frozen=True)
class Study:
    """A question, and the runs that answer it."""

    question: str
    """The question, in one sentence."""
    conditions: Mapping[str, Condition]
    """Conditions by name; a teacher, or a start, stands before those that it serves."""
    comparisons: tuple[Comparison, ...]
    """Pairs of conditions, the most telling first: they are run in this order."""
    seeds: int = 8
    """Number of seeds, from 0 on, after which the study is over and gives its verdicts. It is fixed beforehand: who
    stops when the figures look good finds differences where there are none."""
    first_seeds: int = 3
    """Number of seeds that each comparison gets before any gets more."""
    data: tuple[str, ...] = ("",)
    """Data sets, by the names that stand for `{data}`."""

    def __post_init__(self) -> None:
        if not self.comparisons:
            raise ValueError("comparisons is empty: say which conditions are compared")
        for name in (name for c in self.comparisons for name in (c.condition, c.baseline)):
            if name not in self.conditions:
                raise ValueError(f"there is no condition {name!r}, but {', '.join(self.conditions)}")
        names = list(self.conditions)
        for i, (name, condition) in enumerate(self.conditions.items()):
            for role, other in (("teacher", condition.teacher), ("start", condition.start)):
                if other and other not in names[:i]:
                    raise ValueError(f"{other!r}, the {role} of {name!r}, is none of the conditions before it")
        if not 2 <= self.first_seeds <= self.seeds:
            raise ValueError(
                f"first_seeds is {self.first_seeds} and seeds is {self.seeds}; at least two seeds have to be compared"
            )
