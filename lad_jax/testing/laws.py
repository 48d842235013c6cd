"""The laws that every assigner obeys."""

from collections.abc import Callable
from typing import NamedTuple

from lad_jax.testing import comparisons, conditions, forms
from lad_jax.testing.subject import Subject


class Law(NamedTuple):
    """A law, how to find what breaks it, and how to put that right."""

    says: str
    seen: Callable[[Subject], str]
    """What a subject did against the law; empty where it obeys."""
    remedy: str


LAWS = {
    "shapes": Law(
        "`cost`, `partition` and `explain` return a CostTable, an Assignment and an Explanation of one picture, with "
        "entries [A] or [G, A]",
        forms.shapes,
        "Give each field the shape and dtype that lad_jax/types.py and lad_jax/assign/base.py say: floats float32, "
        "indices int32, flags bool.",
    ),
    "jit": Law(
        "compiled in batches, the assigner answers as for a picture alone",
        conditions.jit,
        "Let both functions be pure, of arrays alone (jnp, no np, no `if` on a value); what the partition needs of a "
        "network travels in CostTable.besides.",
    ),
    "by_boxes": Law(
        "which entries have an object and which are compared is by boxes alone, the same for every network",
        comparisons.by_boxes,
        "Networks exchange costs entry by entry: let predictions enter `cost` and `besides` only, and choose among "
        "the entries in the partition.",
    ),
    "entries": Law(
        "an entry with an object is of a valid prior and a real object, and only such an entry is compared",
        conditions.entries,
        "Set object to -1 and compared to False wherever not scene.priors.valid or not scene.truth.objects.",
    ),
    "static": Law(
        "Assigner.static says whether the answer is by boxes alone",
        comparisons.static,
        "Set the flag as it is: it says whether another network's costs can change anything.",
    ),
    "quality": Law(
        "`cost` does without predicted IoUs, which a network may lack, unless Assigner.needs_quality says otherwise",
        forms.quality,
        "Set needs_quality=True, or leave predictions.quality_logit alone where it is None.",
    ),
    "finite": Law(
        "costs are finite and at least 0; for predictions of NaN they are masked.WORST, and no other picture changes",
        comparisons.finite,
        "Pass costs through lad_jax.masked.finite, which turns what is not finite into masked.WORST: by that a run "
        "names the picture. Take penalties and offsets out of them, and bound logarithms.",
    ),
    "positives": Law(
        "priors are positive for objects that the table allows them",
        conditions.positives,
        "Let the partition choose among the entries where table.object is at least 0.",
    ),
    "weights": Law(
        "weights are finite and at least 0, above 0 for positives and 0 for priors that are not valid",
        conditions.weights,
        "Start from scene.priors.valid as float32, and set it to 0 for what is ignored; pass what enters of "
        "CostTable.besides through lad_jax.masked.finite_or_0.",
    ),
    "targets": Law(
        "targets of positives lie in 0 to 1, of all others are 0, and are below 1 by Assigner.soft_target alone",
        conditions.targets,
        "Multiply by `positive`, bound from both sides, and set soft_target as it is; pass what travels in "
        "CostTable.besides through lad_jax.masked.finite_or_0.",
    ),
    "invalid_priors": Law(
        "what is predicted at priors that are not valid changes nothing",
        comparisons.invalid_priors,
        "Leave priors that are not valid out of every minimum, maximum, mean, sum and top k.",
    ),
    "padding": Law(
        "rows that only pad the objects change nothing",
        comparisons.padding,
        "Leave rows that are not scene.truth.objects out of every minimum, maximum, mean, sum and top k.",
    ),
    "permuted_objects": Law(
        "objects in another order get the same priors, where no two are equal",
        comparisons.permuted_objects,
        "Let the order of objects settle ties and nothing else.",
    ),
    "permuted_priors": Law(
        "priors in another order within their levels get the same objects, where no two are equal",
        comparisons.permuted_priors,
        "Read where a prior is from scene.priors.boxes, not from its index.",
    ),
    "pictures": Law(
        "pictures do not see each other",
        comparisons.pictures,
        "A callback that gets whole batches must treat each picture alone: vmap_method='sequential'.",
    ),
    "crowd": Law(
        "a crowd is no object: it changes nothing",
        comparisons.crowd,
        "Use scene.truth.objects in place of scene.truth.mask.",
    ),
    "no_objects": Law(
        "without objects no entry has one, no prior is positive, and every valid prior has weight 1",
        comparisons.no_objects,
        "A minimum or mean over nothing needs a value that is finite.",
    ),
    "no_gradient": Law(
        "no gradient flows through an assignment",
        conditions.no_gradient,
        "Take values of predictions only from the arguments of `cost`.",
    ),
}
"""The laws by name, in the order in which they are tried: what is broken in passing comes after what breaks it."""
