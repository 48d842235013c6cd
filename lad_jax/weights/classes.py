"""The classifier of a trained detector for other classes: its weights by the names of the classes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lad_jax.models.heads import CLASSIFIER


def match_classes(classes: Sequence[str], known: Sequence[str], *, some: bool) -> list[int]:
    """The number of each class among known ones, by name; -1 where it has none there.

    A name that either side has twice says nothing, unless both have the same list.

    Args:
      classes: names of the classes, in their order.
      known: names of the known ones, in their order.
      some: whether classes are matched too where the two have not all names in common.
    """
    if tuple(classes) == tuple(known):
        return list(range(len(known)))
    here, there = Counter(classes), Counter(known)
    once = {name for name in known if here[name] == there[name] == 1}
    numbers = [known.index(name) if name in once else -1 for name in classes]
    return numbers if some or len(once) == len(known) == len(classes) else [-1] * len(classes)


def with_classes(trained: Mapping[str, Any], fresh: Mapping[str, Any], numbers: Sequence[int]) -> dict[str, Any]:
    """Variables of a trained detector whose classifier has other classes, or the same in another order.

    Args:
      trained: variables of the detector.
      fresh: variables of an untrained one with the classes that are wanted.
      numbers: for each of these, its number among the trained detector's, or -1: its weights are those of `fresh`.
    """
    head = trained["params"]["bbox_head"]
    taken = np.asarray(numbers)
    classifier = {
        name: np.where(taken >= 0, head[CLASSIFIER][name][..., taken], leaf)
        for name, leaf in fresh["params"]["bbox_head"][CLASSIFIER].items()
    }
    return {**trained, "params": {**trained["params"], "bbox_head": {**head, CLASSIFIER: classifier}}}
