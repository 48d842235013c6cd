"""The inspection of a data set that `python -m lad_jax check` prints."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from lad_jax.commands.checking import report
from lad_jax.commands.checking.sheet import choose_pictures, draw_sheet
from lad_jax.commands.checking.summary import (
    evenly,
    fit_anchors,
    fit_canvases,
    object_sizes,
    resize_all,
    summarise,
)
from lad_jax.commands.checking.suspects import find_suspects, find_turned, pictures_in_both, unreadable
from lad_jax.data.options import DataOptions
from lad_jax.data.records import DataSet, doubt_lines, training_positions
from lad_jax.data.sources import open_datasets
from lad_jax.errors import InputError, first_few
from lad_jax.paths import make_folder
from lad_jax.visualize import write_png


def check(
    options: DataOptions,
    *,
    strides: Sequence[int],
    anchor_scale: float,
    most: int,
    decode: int | None,
    sheet: Path,
    pictures: int,
) -> None:
    """Print facts about the training and validation set, and draw some of their pictures.

    Args:
      options: the data sets, and how pictures are resized.
      strides: strides of the pyramid's levels [pixels].
      anchor_scale: side of an anchor in strides.
      most: number of detections of a picture that an evaluation counts.
      decode: number of pictures of each split to decode; None: all.
      sheet: folder for the drawings.
      pictures: number of pictures of each split to draw.

    Raises:
      InputError: a fault that would stop a run: a set that cannot be opened, sets of different classes, no picture to
        train on, pictures that cannot be read.
    """
    make_folder(sheet, "the folder of --sheet,")
    datasets = dict(zip(("train", "val"), open_datasets(options), strict=True))
    train, val = datasets.values()
    summaries = {split: summarise(dataset.records, len(dataset.class_names)) for split, dataset in datasets.items()}
    print(report.format_counts(summaries, train.class_names))
    for line in doubt_lines(train, val, most):
        print(line)

    trained = [train.records[i] for i in training_positions(train, filter_empty=options.filter_empty)]
    if not trained:
        raise InputError("no training picture has an object and sides of at least 32 pixels: see the counts above.")
    sides = [anchor_scale * stride for stride in strides]
    fit = fit_anchors(object_sizes(trained, options), sides)
    print("\n" + report.format_canvases(fit_canvases(resize_all(trained, options), options), options))
    print("\n" + report.format_anchors(fit, strides, sides))

    print()
    problems: list[str] = []
    with _printing_on_exit(problems):
        for split, dataset in datasets.items():
            _check_pictures(split, dataset, options, decode, sheet / f"{split}.png", pictures, problems)
    both = pictures_in_both(train.records, val.records)
    if both:
        print(f"! {len(both)} pictures are in train and val: {first_few(both)}")
    if problems:
        raise InputError(_listed(problems))


def _check_pictures(
    split: str,
    dataset: DataSet,
    options: DataOptions,
    decode: int | None,
    sheet: Path,
    pictures: int,
    problems: list[str],
) -> None:
    """Print what is suspicious in a split, decode some of its pictures, and draw some; see `check`.

    Messages about pictures that cannot be read are added to `problems`.
    """
    n = len(dataset.records)
    sample, bad = evenly(n, n if decode is None else decode), set[int]()
    _find_unreadable(dataset, sample, bad, problems)
    suspects = find_suspects(dataset.records, resize_all(dataset.records, options), dataset.class_names)
    suspects += find_turned(dataset, [position for position in sample if position not in bad])
    print(report.format_suspects(split, suspects))
    print(f"{split}: {len(sample) - len(bad)} of {len(sample)} decoded pictures are sound")
    chosen = choose_pictures(n, suspects, pictures)
    _find_unreadable(dataset, [position for position in chosen if position not in sample], bad, problems)
    drawn = [position for position in chosen if position not in bad]
    if drawn:
        write_png(sheet, draw_sheet(dataset, drawn))
        print(f"{split}: drawn pictures in {sheet}")


def _find_unreadable(dataset: DataSet, positions: Sequence[int], bad: set[int], problems: list[str]) -> None:
    """Add the positions of pictures that cannot be read to `bad`, and messages about them to `problems`."""
    for position, problem in unreadable(dataset, positions):
        bad.add(position)
        problems.append(problem)


@contextlib.contextmanager
def _printing_on_exit(problems: list[str]) -> Iterator[None]:
    """Print the pictures that cannot be read, as far as they are known, before an error or a signal goes on."""
    try:
        yield
    except BaseException:
        if problems:
            print(f"up to here {_listed(problems)}")
        raise


def _listed(problems: Sequence[str]) -> str:
    return "\n  ".join([f"{len(problems)} pictures cannot be read:", *problems[:20]])
