"""Objects and detections for tests, by hand or at random, in COCO's formats."""

from typing import Any

import numpy as np

CLASSES, IDS = ("cat", "dog", "cow"), (3, 18, 90)  # ids with gaps


def truth(*objects: tuple[Any, ...], pictures: int = 1) -> dict[str, Any]:
    """Annotations from (picture, category, box) and, for some, a dict of further entries."""
    return {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in range(1, pictures + 1)],
        "annotations": [
            {"image_id": picture, "category_id": category, "bbox": box, **dict(*further)}
            for picture, category, box, *further in objects
        ],
    }


def found(*detections: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Results from (picture, category, box, score)."""
    return [{"image_id": i, "category_id": k, "bbox": box, "score": score} for i, k, box, score in detections]


def at_random(
    seed: int, *, pictures: int = 4, objects: int = 5, marked: float = 0.0, digits: int = 4
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Annotations and results: up to three detections near each object, of its class or another.

    Args:
      seed: of numpy's RandomState, whose numbers never change.
      pictures: number of pictures.
      objects: number of objects of each.
      marked: share of the objects that are crowds, and of those that are ignored.
      digits: of the scores, some of which are equal if there are few.
    """
    rng, annotations, results = np.random.RandomState(seed), [], []
    for picture in range(1, pictures + 1):
        for _ in range(objects):
            box = rng.uniform([0, 0, 20, 20], [60, 60, 40, 40]).round(1)
            label = rng.randint(3)
            marks = {name: int(rng.uniform() < marked) for name in ("iscrowd", "ignore")} if marked else {}
            annotations.append((picture, IDS[label], box.tolist(), marks))
            for _ in range(rng.randint(4)):
                near = (box + rng.normal(0, rng.choice([1, 6, 20]), 4)).round(1)
                other = label if rng.uniform() < 0.7 else rng.randint(3)
                near[2:] = near[2:].clip(5)
                results.append((picture, IDS[other], near.tolist(), round(rng.uniform(), digits)))
    return truth(*annotations, pictures=pictures), found(*results)
