"""The parts of a training step or a detector, by the scopes that its instructions were traced in."""

import re
from collections.abc import Callable

MODULES = {"backbone": "backbone", "neck": "neck", "bbox_head": "head"}
"""Modules of a detector by the name of the flax module."""
SCOPES = {
    "assignment": "assignment: costs and partition",
    "candidates": "assignment: candidates",
    "mixture": "assignment: mixture",
    "switch": "assignment: switch",
    "losses": "losses",
    "optimiser": "optimiser",
    "metrics": "metrics",
    "postprocess": "detections: best priors of each level",
    "nms": "detections: NMS",
    "voting": "detections: voting",
}
"""Parts by `jax.named_scope`; of several that enclose one another the innermost counts."""
OTHER = "without a scope (copies of weights and state)"

GROUPS: dict[str, Callable[[str], bool]] = {
    "sum of the networks": lambda part: part.endswith(("forward", "backward")),
    "sum of the assignment": lambda part: part.startswith("assignment"),
    "sum of all but the networks": lambda part: not part.endswith(("forward", "backward")),
}


def part_of(scope: str, networks: tuple[str, ...]) -> str:
    """The part of a step that an instruction belongs to.

    Args:
      scope: its path, such as `jit(step)/transpose(jvp(student))/Detector/backbone/conv1/conv_general_dilated`.
      networks: names of the method's networks.
    """
    words = re.findall(r"\w+", scope)
    if known := [word for word in words if word in SCOPES]:
        return SCOPES[known[-1]]
    for network in networks:
        if network in words:
            module = next((MODULES[word] for word in words if word in MODULES), "pixels and decoding")
            return f"{network}: {module}, {'backward' if 'transpose(' in scope else 'forward'}"
    return OTHER
