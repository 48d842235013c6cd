"""Small data sets, and writers of them in Pascal VOC's and YOLO's formats."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAMES = ("zebra", "ant", "crab claw")
LAYOUTS = {
    "yolo": ("images/{split}", "labels/{split}"),
    "roboflow": ("{split}/images", "{split}/labels"),
    "beside": ("{split}", "{split}"),
}
"""Folders of the pictures and of the annotations of a split."""


def make_content(split: str, n: int = 4) -> dict[str, Any]:
    """COCO content with whole pixels; the last picture has no object, the validation set no zebra."""
    random = np.random.default_rng(len(split))
    images, annotations = [], []
    for number in range(1, n + 1):
        width, height = random.integers(40, 90, 2).tolist()
        name = f"{split} {number}.{'jpg' if number % 2 else 'png'}"
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for _ in range(int(random.integers(1, 5)) if number < n else 0):
            x, y = random.integers(0, (width - 20, height - 20)).tolist()
            w, h = random.integers(2, 20, 2).tolist()
            category = int(random.integers(1 if split == "train" else 2, 4))
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": category, "bbox": [x, y, w, h]}
                | {"area": w * h, "iscrowd": int(random.random() < 0.3)}
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(NAMES, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_pictures(folder: Path, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for image in content["images"]:
        pixels = np.full((image["height"], image["width"], 3), 40 * image["id"] % 256, np.uint8)
        assert cv2.imwrite(str(folder / image["file_name"]), pixels)


def write_voc(pictures: Path, annotations: Path, content: dict[str, Any]) -> None:
    """Pixels counted from 1, the last one included; crowd regions as difficult objects."""
    write_pictures(pictures, content)
    annotations.mkdir(parents=True, exist_ok=True)
    for image in content["images"]:
        objects = "".join(
            f"<object><name>{NAMES[a['category_id'] - 1]}</name><pose>Unspecified</pose>"
            f"<difficult>{a['iscrowd']}</difficult><bndbox><xmin>{a['bbox'][0] + 1}</xmin>"
            f"<ymin>{a['bbox'][1] + 1}</ymin><xmax>{a['bbox'][0] + a['bbox'][2]}</xmax>"
            f"<ymax>{a['bbox'][1] + a['bbox'][3]}</ymax></bndbox>"
            "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
            for a in content["annotations"]
            if a["image_id"] == image["id"]
        )
        text = f"<annotation><folder>x</folder><filename>{image['file_name']}</filename><size><width>{image['width']}"
        text += f"</width><height>{image['height']}</height><depth>3</depth></size>{objects}</annotation>"
        (annotations / image["file_name"]).with_suffix(".xml").write_text(text)


def write_yolo(pictures: Path, annotations: Path, content: dict[str, Any]) -> None:
    """Shares with six digits; no file for a picture without objects."""
    write_pictures(pictures, content)
    annotations.mkdir(parents=True, exist_ok=True)
    for image in content["images"]:
        lines = []
        for annotation in content["annotations"]:
            if annotation["image_id"] == image["id"]:
                x, y, w, h = annotation["bbox"]
                shares = (x + w / 2) / image["width"], (y + h / 2) / image["height"], w / image["width"]
                numbers = " ".join(f"{v:.6f}" for v in (*shares, h / image["height"]))
                lines.append(f"{annotation['category_id'] - 1} {numbers}\n")
        if lines:
            (annotations / image["file_name"]).with_suffix(".txt").write_text("".join(lines))
