"""A trained classifier's weights for other classes."""

import numpy as np
import pytest

from lad_jax.weights.classes import match_classes, with_classes

ANEW = [-1, -1, -1]


@pytest.mark.parametrize(
    ("classes", "known", "without", "with_some"),
    [
        ("abc", "abc", [0, 1, 2], [0, 1, 2]),
        ("abc", "cab", [1, 2, 0], [1, 2, 0]),
        ("abc", "xcy", ANEW, [-1, -1, 1]),
        ("abc", "abcd", ANEW, [0, 1, 2]),
        ("abc", "ba", ANEW, [1, 0, -1]),
        ("abc", "xyz", ANEW, ANEW),
        ("abc", "", ANEW, ANEW),
        ("aab", "aab", [0, 1, 2], [0, 1, 2]),  # the same list, whatever is in it
        ("aab", "baa", ANEW, [-1, -1, 0]),
        ("abc", "aabbc", ANEW, [-1, -1, 4]),
    ],
)
def test_classes_are_matched_by_names_that_each_side_has_once(classes, known, without, with_some) -> None:
    assert match_classes(classes, known, some=False) == without
    assert match_classes(classes, known, some=True) == with_some


def test_only_the_classifier_is_changed() -> None:
    def detector(n: int, start: int) -> dict:
        classifier = {"kernel": start + np.arange(2 * n).reshape(2, n), "bias": start + np.arange(n)}
        return {"params": {"neck": {"bias": start}, "bbox_head": {"atss_cls": classifier, "scales_0": start}}}

    trained, fresh = detector(2, 0), detector(3, 100)
    changed = with_classes(trained, fresh, [1, -1, 0])["params"]
    assert changed["neck"] == {"bias": 0} and changed["bbox_head"]["scales_0"] == 0
    np.testing.assert_array_equal(changed["bbox_head"]["atss_cls"]["bias"], [1, 101, 0])
    np.testing.assert_array_equal(changed["bbox_head"]["atss_cls"]["kernel"], [[1, 101, 0], [3, 104, 2]])
    assert trained["params"]["bbox_head"]["atss_cls"]["bias"].shape == (2,), "what is given stays as it is"
