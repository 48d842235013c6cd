"""Small data sets in COCO format, written to disk."""

import json
from pathlib import Path

import cv2
import numpy as np

CATEGORIES = [{"id": 5, "name": "red"}, {"id": 9, "name": "green"}]


def write_coco_folder(folder: Path, split: str, sizes: list[tuple[int, int]]) -> None:
    """Pictures `folder/split/N.png` of the given heights and widths, a coloured box in each, and `split.json`."""
    rng = np.random.default_rng(len(split))
    (folder / split).mkdir(parents=True)
    images, annotations = [], []
    for number, (height, width) in enumerate(sizes, start=1):
        picture = rng.integers(90, 160, (height, width, 3), np.uint8)
        x, y = rng.integers(0, (width - 40, height - 40)).tolist()
        w, h = rng.integers(20, 40, 2).tolist()
        category = CATEGORIES[number % 2]
        picture[y : y + h, x : x + w] = (0, 0, 255) if category["name"] == "red" else (0, 255, 0)
        cv2.imwrite(str(folder / split / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        annotations.append(
            {"id": number, "image_id": number, "category_id": category["id"], "bbox": [x, y, w, h], "area": w * h}
        )
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (folder / f"{split}.json").write_text(json.dumps(content))


def flags_of(folder: Path) -> dict[str, str]:
    """Config keys that point at the folder."""
    return {
        f"data.{split}.{key}": str(folder / f"{split}{end}")
        for split in ("train", "val")
        for key, end in (("images", ""), ("annotations", ".json"))
    }
