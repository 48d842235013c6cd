"""Write the folder of COCO 2017 as tensorflow-datasets would: `coco/2017` as array_record. Needs no TensorFlow.

    python -m scripts.prepare_tfds --coco=data/coco --output=data/tfds

The folder has COCO's layout; splits whose annotation file is not there are left out:

    train2017/  annotations/instances_train2017.json    split train
    val2017/    annotations/instances_val2017.json      split validation
    test2017/   annotations/image_info_test2017.json    split test

The result, `OUTPUT/coco/2017/1.1.0`, has the form of TFDS's, but for the order of a picture's boxes: here the
annotation file's, there that of their ids. Boxes are cut at the border of their picture, since TFDS refuses others.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from lad_jax.data.annotations import areas, load_annotations
from lad_jax.data.coco import CocoFolder
from lad_jax.errors import InputError

SPLITS = {
    "train": ("train2017", "instances_train2017.json"),
    "validation": ("val2017", "instances_val2017.json"),
    "test": ("test2017", "image_info_test2017.json"),
}
"""Folder and annotation file of each split."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coco", type=Path, required=True, help="folder of COCO, with pictures and annotations")
    parser.add_argument("--output", type=Path, required=True, help="folder for TFDS data sets")
    options = parser.parse_args()
    try:
        print(f"config.data.tfds.directory={prepare(options.coco, options.output)}")
    except InputError as error:
        sys.exit(f"error: {error}")


def prepare(coco: Path, output: Path) -> Path:
    """Write the data set; returns the folder of its version.

    Raises:
      InputError: a fault of the annotation files, missing pictures, or a result that is there already.
    """
    builder = Coco(coco, output)
    written = Path(builder.data_dir)
    if written.exists():
        raise InputError(f"{written} is there already: remove it, or take another --output.")
    builder.download_and_prepare(file_format="array_record")
    return written


class Coco(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builder of TFDS's `coco/2017` from a folder instead of a download."""

    VERSION = tfds.core.Version("1.1.0")
    BUILDER_CONFIGS = (tfds.core.BuilderConfig(name="2017", version=VERSION),)
    code_path = None
    """None: no checksums of downloads lie beside this file, and the search needs a package that TFDS does not have."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self._folder = folder
        self._opened = {
            split: CocoFolder(str(folder / images), str(file), annotated=split != "test", key="--coco")
            for split, (images, name) in SPLITS.items()
            if (file := folder / "annotations" / name).exists()
        }
        if not self._opened:
            names = ", ".join(name for _, name in SPLITS.values())
            raise InputError(f"{folder / 'annotations'} has none of {names}: check --coco.")
        super().__init__(data_dir=str(data_dir))

    def _info(self) -> tfds.core.DatasetInfo:
        names, *others = {dataset.class_names for dataset in self._opened.values()}
        if others:
            raise InputError(f"the annotation files of splits {', '.join(self._opened)} differ in their categories.")
        box = {
            "id": np.int64,
            "area": np.int64,
            "bbox": tfds.features.BBoxFeature(),
            "label": tfds.features.ClassLabel(names=names),
            "is_crowd": np.bool_,
        }
        picture = {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "image/filename": tfds.features.Text(),
            "image/id": np.int64,
            "objects": tfds.features.Sequence(box),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(picture))

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in self._opened}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        _, file = SPLITS[split]
        content = load_annotations(self._folder / "annotations" / file, "--coco", annotated=split != "test")
        names = {category["id"]: category["name"] for category in content["categories"]}
        owned = defaultdict(list)
        for annotation, area in zip(content["annotations"], areas(content["annotations"]), strict=True):
            owned[annotation["image_id"]].append({**annotation, "area": area})
        for image in content["images"]:
            yield (
                image["file_name"],
                {
                    "image": self._folder / SPLITS[split][0] / image["file_name"],
                    "image/filename": image["file_name"],
                    "image/id": image["id"],
                    "objects": [
                        {
                            "id": annotation["id"],
                            "area": int(annotation["area"]),
                            "bbox": relative_box(annotation["bbox"], image["width"], image["height"]),
                            "label": names[annotation["category_id"]],
                            "is_crowd": bool(annotation["iscrowd"]),
                        }
                        for annotation in owned[image["id"]]
                    ],
                },
            )


def relative_box(box: list[float], width: int, height: int) -> tfds.features.BBox:
    """Box from x, y, width, height [pixels], as shares of the picture's sides, cut at its border."""
    x, y, w, h = box
    x1, y1, x2, y2 = np.clip([x / width, y / height, (x + w) / width, (y + h) / height], 0, 1)
    return tfds.features.BBox(ymin=y1, xmin=x1, ymax=y2, xmax=x2)


if __name__ == "__main__":
    main()
