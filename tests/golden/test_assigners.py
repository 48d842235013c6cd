"""The assigners other than PAA against arrays of their reference implementations (assigners 15).

Tolerances are those of assigners 1.5. Answers are compared on the priors that neither side gives to an object whose
decision the reference calls undecided; other arrays where they are by decided objects.
"""

import jax
import numpy as np
import pytest

from lad_jax.assign import ASSIGNERS, AssignerOptions, dynamic_soft_label
from tests.golden import pictures
from tests.golden.assigners import CASES
from tests.golden.network import OPTIMISED

BY_PAIR = ("iou", "cost", "metric", "candidate", "allowed", "in_box_and_centre")
BY_OBJECT = ("mean", "std", "threshold", "iou_sum", "dynamic_k")
BY_ROW = ("supply", "plan_row_sum", "plan_row_max")
BY_PRIOR = ("max_iou", "eligible", "background_cost", "paper_score")
OF_ANSWER = ("matched_iou", "metric_of_assigned", "target")
OF_PLAN = ("plan_column_sum", "plan_best", "plan_second", "total_cost")
ANSWERS = ("assigned", "assigned_whole_box", "paper_bag", "paper_assigned")

OF_IOUS, OF_PREDICTED, PLAN, COST = (0, 2e-6), (0, 2e-5), (1e-6, 1e-4), (5e-5, 2e-4)
TOLERANCES = {
    **dict.fromkeys(("max_iou", "mean", "std", "threshold"), OF_IOUS),
    **dict.fromkeys(("iou", "matched_iou", "iou_sum", "supply"), OF_PREDICTED),
    **dict.fromkeys(("plan_row_sum", "plan_row_max", "plan_column_sum", "plan_best", "plan_second"), PLAN),
    **dict.fromkeys(("cost", "background_cost", "total_cost"), COST),
    **dict.fromkeys(("metric", "metric_of_assigned", "target", "paper_score"), (5e-5, 2e-5)),
}
"""Relative and absolute tolerance of each array of numbers; of the plan's, sums over a row reach a thousand."""
AT_PENALTY = {1e5: 0.01, 1e6: 0.1}
"""Absolute tolerance of a cost that a penalty is on."""


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_arrays_of_the_reference(case, golden):
    file = pictures.read(golden / f"assign_{case.name}.npz")
    options = type(getattr(AssignerOptions(), case.name))(**case.changes)
    assigner = ASSIGNERS[case.name](options)

    def arrays_of(scene, predictions):
        return case.arrays(assigner, options, scene, predictions)

    program = jax.jit(jax.vmap(arrays_of), compiler_options=OPTIMISED)
    ours = jax.tree.map(np.asarray, program(file.scene, file.predictions))
    for i, (arrays, place) in enumerate(zip(file.arrays, file.places, strict=True)):
        reference = reference_of(case, arrays)
        names = ours.keys() & reference.keys()
        assert names & set(ANSWERS)
        seen = {name: of_picture(name, ours[name][i], place, len(reference["undecided"])) for name in names}
        for name in names & set(ANSWERS):
            assert (np.delete(ours[name][i], place, axis=-1) < 0).all(), "a prior beyond the picture's canvas"
            assert_same_answer(seen[name], reference[name], reference, f"{name} of picture {i}")
        for name in names - set(ANSWERS):
            where = compared(name, seen, reference)
            assert_near(name, seen[name][where], reference[name][where], case.penalty, f"{name} of picture {i}")


def of_picture(name, array, place, n_objects):
    """What an array over the canvas's priors and padded objects says of a picture's."""
    if name in BY_PAIR:
        return array[:n_objects][:, place]
    if name in BY_OBJECT:
        return array[:n_objects]
    if name in BY_ROW:
        return np.append(array[:n_objects], array[-1])
    return array[..., place] if array.ndim else array


def reference_of(case, arrays):
    """A picture's arrays by plain names, in the form in which they are compared."""
    plain = ("valid", "gt_boxes", "gt_labels", "undecided")
    form = {name.removeprefix(case.prefix): x for name, x in arrays.items() if name.startswith(case.prefix)}
    reference = {name: arrays[name] for name in plain} | form
    n_objects = len(reference["gt_labels"])
    if case.name == "mal":
        reference |= {"undecided": undecided_bags(reference)}
        if case.changes:  # the rest of a bag is ignored
            rest = (reference["paper_bag"] >= 0) & (reference["paper_assigned"] == -1)
            reference["paper_assigned"] = np.where(rest, -2, reference["paper_assigned"])
    if "candidate" in reference:
        mask = np.zeros((n_objects, len(reference["valid"])), bool)
        np.put_along_axis(mask, reference["candidate"], True, axis=1)
        reference["candidate"] = mask & (reference["metric"] > 0) if "metric" in reference else mask
    if not (reference.get("margin_reach", np.ones(0)) > 0).all():
        # In float32 the reference's plan is off by up to a fifth where a penalty of 1e6 is on a whole row.
        reference = {name: x for name, x in reference.items() if not name.startswith("plan")}
    return reference


def undecided_bags(reference):
    """Objects of whose bag two scores differ by less than float32's rounding of their logarithms."""
    undecided = np.zeros(len(reference["gt_labels"]), bool)
    for g in range(len(undecided)):
        logs = np.sort(np.log(np.maximum(reference["paper_score"][reference["paper_bag"] == g], 1e-300)))
        gaps = np.diff(logs)
        undecided[g] = ((gaps > 0) & (gaps < 1e-6 * np.maximum(1, np.abs(logs[1:])))).any()
    return undecided


def assert_same_answer(ours, theirs, reference, message):
    """Equal on the priors that neither side gives to an undecided object; a matching of twins counts as a set."""
    np.testing.assert_array_equal((ours == -2)[..., ~reference["valid"]], True, err_msg=message)
    skip = np.append(reference["undecided"], [False] * 3)  # the last three are the negative codes
    where = ~(skip[ours] | skip[theirs]) & reference["valid"]
    if "total_cost" in reference:
        ours, theirs = (first_of_twins(answer, reference) for answer in (ours, theirs))
    np.testing.assert_array_equal(ours[where], theirs[where], err_msg=message)


def first_of_twins(answer, reference):
    """The answer with each object called by the first of the same box and label."""
    rows = np.column_stack([reference["gt_boxes"], reference["gt_labels"]])
    first = np.array([*((rows == row).all(axis=1).argmax() for row in rows), -3, -2, -1])
    return first[answer]


def compared(name, seen, reference):
    """Mask of an array's entries that no undecided object, no invalid prior and no cost without bound has part in."""
    theirs, valid, decided = reference[name], reference["valid"], ~reference["undecided"]
    if name in BY_PAIR:
        exists = theirs >= 0 if name == "iou" else theirs < dynamic_soft_label.LARGEST
        return decided[:, None] & valid & exists
    if name in BY_OBJECT:
        return decided
    if name in BY_ROW:
        return np.append(decided, decided.all()) if name == "supply" else np.full(theirs.shape, decided.all())
    if name in OF_ANSWER:
        return (
            valid & np.append(decided, [True] * 3)[reference["assigned"]] & (seen["assigned"] == reference["assigned"])
        )
    if name in OF_PLAN:
        return np.broadcast_to(valid if theirs.ndim else True, theirs.shape) & decided.all()
    assert name in BY_PRIOR
    return valid


def assert_near(name, ours, theirs, penalty, message):
    """Equal within the array's tolerances."""
    if theirs.dtype.kind != "f":
        np.testing.assert_array_equal(ours, theirs, err_msg=message)
        return
    relative, absolute = TOLERANCES[name]
    bound = absolute + relative * np.abs(theirs)
    if name == "cost" and np.isfinite(penalty):
        bound = np.where(theirs >= penalty, AT_PENALTY[penalty], bound)
    excess = np.abs(ours - theirs) - bound
    assert excess.max(initial=-1) <= 0, f"{message}: {ours[excess.argmax()]} for {theirs[excess.argmax()]}"
