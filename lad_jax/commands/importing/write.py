"""Checking annotated pictures of any format, and writing them in COCO's."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from lad_jax.commands.importing.options import ImportOptions
from lad_jax.data.pictures import read_picture
from lad_jax.errors import InputError, first_few
from lad_jax.files import write_whole

_log = logging.getLogger(__name__)


class Object(NamedTuple):
    """An annotated box."""

    where: str
    """File and line or number of the object, for messages."""
    name: str
    """Name of its class."""
    box: tuple[float, float, float, float]
    """Box `x1 y1 x2 y2` [pixels], x and y counted from the upper left corner of the picture."""
    crowd: bool = False
    """True for a region that is neither trained on nor counted for or against a detector."""


class Example(NamedTuple):
    """A picture with its objects, in the order of the file."""

    picture: Path
    annotation: Path | None
    """File of its objects, if it has one."""
    width: int
    height: int
    """Height as decoded [pixels]."""
    objects: list[Object]


def decoded_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as decoded: the loader turns pictures as their EXIF orientation says.

    Raises:
      InputError: the picture cannot be decoded; names it.
    """
    height, width = read_picture(path).shape[:2]
    return width, height


def read_splits(splits: Mapping[str, tuple[Callable[[Path], Example], Sequence[Path]]]) -> dict[str, list[Example]]:
    """Examples of each split, read by its function from each of its files.

    Raises:
      InputError: the faults of the first few files; all were tried.
    """
    examples, problems = {}, []
    for split, (read, files) in splits.items():
        _log.info("reading %d pictures of %s", len(files), split)
        examples[split], found = _read_all(read, files)
        problems += found
    stop_if(problems)
    return examples


def _read_all(read: Callable[[Path], Example], files: Sequence[Path]) -> tuple[list[Example], list[str]]:
    """Examples read from files, and the messages about those that raised InputError."""

    def attempt(file: Path) -> Example | str:
        try:
            return read(file)
        except InputError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:  # decoding a picture does not hold Python's lock
        results = list(pool.map(attempt, files))
    return [r for r in results if isinstance(r, Example)], [r for r in results if isinstance(r, str)]


def stop_if(problems: Sequence[str]) -> None:
    """Raise one InputError that states the first few problems, if there are any."""
    if len(problems) == 1:
        raise InputError(problems[0])
    if problems:
        more = [f"… ({len(problems)} in all)"] if len(problems) > 5 else []
        raise InputError("\n  ".join([f"{len(problems)} problems, nothing was written:", *problems[:5], *more]))


def refuse_existing(output: Path, splits: Iterable[str]) -> None:
    """Check that no file that is to be written is there, since nothing is overwritten; else raise InputError."""
    for split in splits:
        if (output / f"{split}.json").exists():
            raise InputError(f"{output / split}.json exists: remove it, or choose another folder by --output.")


def write_splits(splits: Mapping[str, Sequence[Example]], names: Sequence[str], options: ImportOptions) -> None:
    """Check the objects and write a file a split; the same categories, numbered from 1, in each.

    Raises:
      InputError: an object of no class of `names`; a box without area inside its picture, unless they are to be
        skipped; two annotation files for a picture; no object at all; or a file cannot be written.
    """
    contents, problems = {}, _contested(splits)
    for split, examples in splits.items():
        contents[split], found = make_content(examples, names, options)
        problems += found
    stop_if(problems)
    if not any(content["annotations"] for content in contents.values()):
        raise InputError(f"no object is annotated in {options.folder}: is it the right folder?")
    for split, content in contents.items():
        path = options.output / f"{split}.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(content) + "\n")
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}.") from None
        _log.info(
            "wrote %s: %d pictures, %d boxes of %d classes (%s)",
            *(path, len(content["images"]), len(content["annotations"]), len(names), ", ".join(names)),
        )
    _log.info("their pictures' folder, for config.data.….images: %s", options.folder)


def _contested(splits: Mapping[str, Sequence[Example]]) -> list[str]:
    """Pictures that several annotation files claim."""
    claims: dict[Path, set[str]] = {}
    for example in (example for examples in splits.values() for example in examples):
        claims.setdefault(example.picture, set()).add(str(example.annotation))
    return [
        f"{picture} has {len(files)} annotation files, {first_few(sorted(files))}: remove all but one."
        for picture, files in claims.items()
        if len(files) > 1
    ]


def make_content(
    examples: Sequence[Example], names: Sequence[str], options: ImportOptions
) -> tuple[dict[str, Any], list[str]]:
    """One split in COCO format, ids counted from 1 in the order of the pictures' paths; and its problems.

    Boxes are clipped to their pictures, and values rounded to a hundredth of a pixel.
    """
    number = {name: i for i, name in enumerate(names, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    problems, clipped = [], []
    for example in sorted(examples, key=lambda example: example.picture.as_posix()):
        file = example.picture.relative_to(options.folder).as_posix()
        images.append({"id": len(images) + 1, "file_name": file, "width": example.width, "height": example.height})
        for obj in example.objects:
            if obj.name not in number:
                problems.append(f"{obj.where}: class {obj.name!r} is none of {first_few(names)}.")
                continue
            x1, y1, x2, y2 = box = _clip(obj.box, example.width, example.height)
            if x2 <= x1 or y2 <= y1:
                fault = _fault(obj, example)
                if options.on_bad_box == "skip":
                    _log.warning("left out: %s", fault)
                else:
                    problems.append(f"{fault} Correct it, or leave such boxes out by --on_bad_box=skip.")
                continue
            if max(abs(a - b) for a, b in zip(box, obj.box, strict=True)) > 1:
                clipped.append(obj.where)
            width, height = round(x2 - x1, 2), round(y2 - y1, 2)
            entry: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": len(images),
                "category_id": number[obj.name],
            }
            entry |= {"bbox": [x1, y1, width, height], "area": round(width * height, 2), "iscrowd": int(obj.crowd)}
            annotations.append(entry)
    if clipped:
        _log.warning("clipped %d boxes that reach beyond their picture, the first: %s", len(clipped), clipped[0])
    categories = [{"id": i, "name": name} for name, i in number.items()]
    return {"images": images, "annotations": annotations, "categories": categories}, problems


def _clip(box: tuple[float, ...], width: int, height: int) -> list[float]:
    """The box within its picture; without area where they do not overlap."""
    return [round(min(max(v, 0.0), float(side)), 2) for v, side in zip(box, (width, height) * 2, strict=True)]


def _fault(obj: Object, example: Example) -> str:
    x1, y1, x2, y2 = obj.box
    fault = "lies outside its picture" if x2 > x1 and y2 > y1 else "has no area"
    size = f"{example.width}x{example.height}"
    return f"{obj.where}: the box from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) {fault} (a picture of {size})."
