"""The plan of a run: pictures, their size and canvas at every step, a pure function of (seed, step)."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lad_jax.data.canvases import Canvas
from lad_jax.data.options import DataOptions
from lad_jax.data.records import DataSet, Record, max_objects, training_positions
from lad_jax.data.scales import bucket_short_sides, lay_out, padding_of
from lad_jax.errors import InputError
from lad_jax.rounding import ceil_div

_SCALE, _REPEATS = 2, 5
"""Keys of the random streams of a step's short side and of an epoch's repeats, beside those of pictures (`augment`)."""


class PlannedBatch(NamedTuple):
    """The pictures of a batch, and the canvas and scale that they are on."""

    canvas: Canvas
    positions: Int[np.ndarray, " B"]
    """Positions in `DataSet.records`; -1 for a row that only fills the batch."""
    short_side: int
    """Bound of the pictures' shorter side [pixels]."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The order of a run's pictures. Every process derives the same one, whichever rows it reads."""

    groups: tuple[np.ndarray, ...]
    """Positions of the pictures that share batches, rising."""
    repeats: tuple[np.ndarray, ...]
    """How often an epoch shows each of them, on average, at least once."""
    buckets: tuple[tuple[int, ...], ...]
    """Short sides that are drawn from, by range that shares canvases, rising [pixels]."""
    layout: tuple[tuple[Canvas, ...], ...]
    """Canvas of each group and bucket."""
    padding: float
    """Share of the pixels of all batches that is padding, 0…1, where pictures are not cropped."""
    batch_size: int
    max_objects: int
    """Number of objects that every batch is padded to: G."""
    seed: int

    @property
    def canvases(self) -> tuple[Canvas, ...]:
        """The different canvases."""
        return tuple(sorted({canvas for row in self.layout for canvas in row}))

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches that show every picture at least once."""
        return sum(_rows(repeats, self.batch_size) for repeats in self.repeats)

    def step(self, step: int) -> PlannedBatch:
        """The batch of training step `step`, counted from 0 over all epochs; every short side is equally likely."""
        epoch, number = divmod(step, self.steps_per_epoch)
        group, positions = _epoch(self, epoch)[number]
        sides = [(bucket, side) for bucket, sides in enumerate(self.buckets) for side in sides]
        bucket, side = sides[np.random.default_rng((self.seed, step, 0, _SCALE)).integers(len(sides))]
        return PlannedBatch(self.layout[group][bucket], positions, side)

    def in_order(self) -> list[PlannedBatch]:
        """Batches that show every picture exactly once at the largest scale; -1 fills the last of each group."""
        return [
            PlannedBatch(
                row[-1], np.concatenate([shown, np.full(self.batch_size - len(shown), -1)]), self.buckets[-1][-1]
            )
            for row, group in zip(self.layout, self.groups, strict=True)
            for shown in np.split(group, range(self.batch_size, len(group), self.batch_size))
        ]


def make_plan(dataset: DataSet, options: DataOptions, *, batch_size: int, seed: int) -> Plan:
    """The plan of a training run over `training_positions`.

    Raises:
      InputError: no picture is left to train on.
    """
    positions = training_positions(dataset, filter_empty=options.filter_empty)
    if not len(positions):
        raise InputError(
            f"none of the {len(dataset.records)} training pictures has an object and sides of at least 32 pixels: "
            f"check config.data.train.annotations."
        )
    buckets = bucket_short_sides(
        options.short_sides or (options.short_side,), at_most=options.scale_buckets, pad_multiple=options.pad_multiple
    )
    repeats = repeat_factors([dataset.records[i] for i in positions], options.repeat_threshold)
    return _make_plan(dataset, options, positions, repeats, buckets, batch_size, seed)


def make_eval_plan(dataset: DataSet, options: DataOptions, *, batch_size: int) -> Plan:
    """The plan of an evaluation: all pictures at `short_side`, and canvases for them."""
    everything = np.arange(len(dataset.records))
    once = np.ones(len(everything))
    return _make_plan(dataset, options, everything, once, ((options.short_side,),), batch_size, seed=0)


def repeat_factors(records: Sequence[Record], threshold: float) -> Float[np.ndarray, " n"]:
    """How often an epoch shows each picture, at least once: the largest √(threshold / share) of its classes.

    A class's share is that of the pictures with an object of it; crowd regions are none.

    Source: Gupta et al., 2019 (LVIS), appendix.
    """
    classes = [np.unique(record.labels[~record.crowd]) for record in records]
    counts = np.bincount(np.concatenate(classes).astype(np.int64), minlength=1)
    of_class = np.sqrt(threshold * len(records) / np.maximum(counts, 1))
    return np.array([np.max(of_class[labels], initial=1.0) for labels in classes])


def _make_plan(
    dataset: DataSet,
    options: DataOptions,
    positions: Int[np.ndarray, " n"],
    repeats: Float[np.ndarray, " n"],
    buckets: tuple[tuple[int, ...], ...],
    batch_size: int,
    seed: int,
) -> Plan:
    records = [dataset.records[position] for position in positions]
    originals = np.array([(record.height, record.width) for record in records])
    group, layout = lay_out(
        originals,
        buckets,
        long_side=options.long_side,
        canvases=options.canvases,
        pad_multiple=options.pad_multiple,
    )
    return Plan(
        groups=tuple(positions[group == number] for number in range(len(layout))),
        repeats=tuple(repeats[group == number] for number in range(len(layout))),
        buckets=buckets,
        layout=layout,
        padding=padding_of(originals, group, buckets, layout, long_side=options.long_side),
        batch_size=batch_size,
        max_objects=max_objects(records),
        seed=seed,
    )


@functools.lru_cache(maxsize=2)
def _epoch(plan: Plan, epoch: int) -> list[tuple[int, np.ndarray]]:
    """Index of the group, and positions, of each batch of an epoch.

    Each group's pictures are shuffled and cut; the last batch is filled up with the first of that order again, so
    that batches stay full and an epoch's length does not change. Then the batches are shuffled.
    """
    random = np.random.default_rng((plan.seed, epoch))
    start = np.random.default_rng((plan.seed, epoch, 0, _REPEATS)).random()
    batches = []
    for number, (group, repeats) in enumerate(zip(plan.groups, plan.repeats, strict=True)):
        order = random.permutation(len(group))
        shown = group[_repeated(order, repeats, start)]
        cut = np.resize(shown, (_rows(repeats, plan.batch_size), plan.batch_size))
        batches += [(number, positions) for positions in cut]
    return [batches[i] for i in random.permutation(len(batches))]


def _rows(repeats: Float[np.ndarray, " n"], batch_size: int) -> int:
    """Number of batches that an epoch has of pictures that are repeated so often."""
    return ceil_div(math.ceil(_ends(repeats)[-1]), batch_size)


def _repeated(order: Int[np.ndarray, " n"], repeats: Float[np.ndarray, " n"], start: float) -> Int[np.ndarray, " m"]:
    """The order, then those that an epoch shows twice once more, and so on: a picture's copies are far from each other.

    A picture that is to be shown 2.3 times is in three of ten epochs there three times, else twice: copies are the
    whole numbers that the sums of repeats pass on their way from `start`, which is anywhere in 0…1 (systematic
    sampling), so that an epoch's length changes by one at most.
    """
    ends = np.floor(_ends(repeats[order]) + start)
    copies = np.diff(ends, prepend=0.0)
    return np.concatenate([order[copies > number] for number in range(int(copies.max()))])


def _ends(repeats: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Sums of the repeats up to each, in whole 2^-20ths: exact, whatever their order."""
    return np.cumsum(np.round(repeats * 2**20)) / 2**20
