"""pycocotools' matching of detections with objects, on ids and marks as real files have them."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MOST = 100
"""Detections of a picture that COCO counts, those of the highest scores."""
SIZES = {"": 0, "_small": 1, "_medium": 2, "_large": 3}
"""Ends of metrics' names, and the places of these sizes in pycocotools' arrays."""


class Matched(COCOeval):
    """pycocotools' evaluation of boxes, matched picture by picture, in which an ignored object stays one.

    pycocotools forgets the mark `ignore` where it prepares crowd regions. What is detected at an ignored object is no
    mistake, as at a crowd; unlike there, only where the boxes overlap as those of an object and its detection do.
    """

    def __init__(
        self,
        ground_truth: dict[str, Any],
        results: list[dict[str, Any]],
        category_ids: Sequence[int],
        most: int = MOST,
        *,
        sizes: int = len(SIZES),
    ) -> None:
        truth, found = (_index(ground_truth, boxes, category_ids) for boxes in (ground_truth["annotations"], results))
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(truth, found, "bbox")
            self.params.maxDets = [1, 10, most]
            self.params.areaRng, self.params.areaRngLbl = self.params.areaRng[:sizes], self.params.areaRngLbl[:sizes]
            self.evaluate()

    def _prepare(self) -> None:
        super()._prepare()
        for objects in self._gts.values():
            for one in objects:
                one["ignore"] = one["iscrowd"] or one["set_aside"]

    def summed(self, matches: Sequence[Any] | None = None) -> "Matched":
        """Compute precision and recall, of other `matches` than all pictures' where given."""
        if matches is not None:
            self.evalImgs = matches
        with contextlib.redirect_stdout(io.StringIO()):
            self.accumulate()
        return self

    @property
    def precision(self) -> np.ndarray:
        """Precision by IoU threshold, recall, category and size, of `most` detections; -1 where there is no object."""
        return self.eval["precision"][..., -1]

    @property
    def recall(self) -> np.ndarray:
        """Recall by IoU threshold, category, size and number of detections (1, 10, most)."""
        return self.eval["recall"]


def mean(values: np.ndarray) -> float | None:
    """Mean of those that are known, not -1; None where none is."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _index(ground_truth: dict[str, Any], boxes: list[dict[str, Any]], category_ids: Sequence[int]) -> COCO:
    """pycocotools' index of `boxes`, annotations or results, on the images of the ground truth.

    Images and categories are numbered anew, in the order of their ids, which may exceed what numpy holds. The boxes are
    copied, since pycocotools writes into them, and numbered from 1, since its matching takes the id 0 for "not
    matched". Its `loadRes` does the same for results, but fails on an empty list.
    """
    images = {number: i for i, number in enumerate(sorted(image["id"] for image in ground_truth["images"]))}
    categories = {number: k for k, number in enumerate(category_ids)}
    kept = (box for box in boxes if box["image_id"] in images and box["category_id"] in categories)
    view = COCO()
    view.dataset = {
        "images": [{"id": i} for i in images.values()],
        "categories": [{"id": k} for k in categories.values()],
        "annotations": [
            {
                "area": box["bbox"][2] * box["bbox"][3],
                "iscrowd": 0,
                **box,
                "id": number,
                "image_id": images[box["image_id"]],
                "category_id": categories[box["category_id"]],
                "set_aside": box.get("ignore", 0),
            }
            for number, box in enumerate(kept, start=1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        view.createIndex()
    return view
