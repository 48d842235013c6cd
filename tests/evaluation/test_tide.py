"""Kinds of error on cases worked by hand, and against the authors' program."""

from collections import Counter

import pytest

from lad_jax.evaluation.overlaps import find_overlaps
from lad_jax.evaluation.tide import KINDS, judge, tide
from tests.evaluation.scenes import IDS, at_random, found, truth

CAT, DOG = 3, 18
A, B, C, NEAR_A, FAR = [0, 0, 20, 20], [100, 0, 20, 20], [200, 0, 20, 20], [10, 0, 20, 20], [300, 300, 20, 20]
ONE_OF_EACH = truth((1, CAT, A), (1, DOG, B))
TWO_CATS = truth((1, CAT, A), (1, CAT, B))


@pytest.mark.parametrize(
    ("ground_truth", "results", "gains"),
    [
        # Cats' AP 0 → 1, dogs' 1/2 → 1.
        (ONE_OF_EACH, [(1, DOG, A, 0.9), (1, DOG, B, 0.5)], {"classification": 0.75}),
        # IoU 1/3. AP 0 → 1.
        (truth((1, CAT, A)), [(1, CAT, NEAR_A, 0.9)], {"localisation": 1.0}),
        # Dogs' AP 1/2 → 1.
        (ONE_OF_EACH, [(1, DOG, NEAR_A, 0.9), (1, DOG, B, 0.5), (1, CAT, A, 0.5)], {"both": 0.25}),
        (ONE_OF_EACH, [(1, DOG, FAR, 0.9), (1, DOG, B, 0.5), (1, CAT, A, 0.5)], {"background": 0.25}),
        # Precision 2/3 at the 50 recalls above 1/2.
        (TWO_CATS, [(1, CAT, A, 0.9), (1, CAT, A, 0.8), (1, CAT, B, 0.7)], {"duplicate": 50 / 101 / 3}),
        # Precision 0 at the 50 recalls above 1/2.
        (TWO_CATS, [(1, CAT, A, 0.9)], {"missed": 50 / 101}),
        # Of dogs nothing is left. AP 1/2 → 1, of cats alone.
        (ONE_OF_EACH, [(1, CAT, A, 0.9)], {"missed": 0.5}),
        # Of dogs a detection is left, which finds none: as the authors' program has it, AP 0, as before.
        (ONE_OF_EACH, [(1, CAT, A, 0.9), (1, DOG, FAR, 0.8)], {"missed": 0.0}),
        (ONE_OF_EACH, [], {"missed": 1.0}),
        # The class of the first is put right, which makes the third its duplicate. Cats' AP stays 1, dogs' 1/2 → 1.
        (ONE_OF_EACH, [(1, DOG, A, 0.9), (1, DOG, B, 0.8), (1, CAT, A, 0.7)], {"classification": 0.25}),
        # The box of the first is put right, the third dropped: AP 1/3 → 1. Without the second: 1/2.
        (
            truth((1, CAT, A)),
            [(1, CAT, NEAR_A, 0.9), (1, CAT, FAR, 0.8), (1, CAT, A, 0.7)],
            {"localisation": 2 / 3, "background": 1 / 2 - 1 / 3},
        ),
        # Two wrong boxes of one object: the better score finds it. The object is meant, so it is not missed.
        (truth((1, CAT, A)), [(1, CAT, NEAR_A, 0.9), (1, CAT, NEAR_A, 0.8)], {"localisation": 1.0}),
        # A crowd's detections are no errors.
        (truth((1, CAT, A), (1, CAT, B, {"iscrowd": 1})), [(1, CAT, B, 0.9), (1, CAT, A, 0.8)], {}),
    ],
)
def test_by_hand(ground_truth, results, gains):
    result = tide(find_overlaps(ground_truth, found(*results), IDS, 100))
    assert result == pytest.approx(dict.fromkeys(KINDS, 0.0) | gains, abs=1e-12)


@pytest.mark.parametrize(
    ("box", "category", "kind"),
    [
        (A, CAT, "duplicate"),
        (A, DOG, "classification"),
        (NEAR_A, CAT, "localisation"),
        (NEAR_A, DOG, "both"),
        ([18, 0, 20, 20], CAT, "background"),  # IoU 1/19
        ([18, 0, 20, 20], DOG, "background"),
        ([100, 0, 20, 10], CAT, "classification"),  # IoU 1/2
    ],
)
def test_kinds(box, category, kind):
    overlaps = find_overlaps(ONE_OF_EACH, found((1, CAT, A, 0.9), (1, category, box, 0.5)), IDS, 100)
    assert judge(overlaps).kind.tolist() == ["correct", kind]


def test_equals_the_authors_program():
    """Numbers printed by tidecv 1.0.1: TIDE().evaluate(…, pos_threshold=0.5, background_threshold=0.1) of this case.

    The kinds were equal with 200 seeds. This one's case has nothing that the paper and the program treat differently.
    """
    overlaps = find_overlaps(*at_random(37), IDS, 100)
    counts = Counter(judge(overlaps).kind.tolist())
    assert [counts[kind] for kind in KINDS[:-1]] == [3, 14, 3, 5, 5]
    printed = (6.096925482021891, 26.636806537796637, 1.6336633663366378)
    printed += (3.1661609384381784, 4.45937450887946, 3.9493949394939563)
    assert [100 * gain for gain in tide(overlaps).values()] == pytest.approx(printed, abs=1e-9)
