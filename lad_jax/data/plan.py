"""The plan of a run: pictures, their size and canvas at every step, a pure function of (seed, step)."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from lad_jax.data.canvases import Canvas
from lad_jax.data.options import DataOptions
from lad_jax.data.records import DataSet, max_objects, training_positions
from lad_jax.data.scales import bucket_short_sides, lay_out, padding_of
from lad_jax.errors import InputError
from lad_jax.rounding import ceil_div

_SCALE = 2
"""Key of the random stream of a step's short side, beside those of its pictures."""


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
        return sum(ceil_div(len(group), self.batch_size) for group in self.groups)

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
    return _make_plan(dataset, options, positions, buckets, batch_size, seed)


def make_eval_plan(dataset: DataSet, options: DataOptions, *, batch_size: int) -> Plan:
    """The plan of an evaluation: all pictures at `short_side`, and canvases for them."""
    return _make_plan(dataset, options, np.arange(len(dataset.records)), ((options.short_side,),), batch_size, seed=0)


def _make_plan(
    dataset: DataSet,
    options: DataOptions,
    positions: Int[np.ndarray, " n"],
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
    batches = []
    for number, group in enumerate(plan.groups):
        rows = ceil_div(len(group), plan.batch_size)
        shuffled = np.resize(random.permutation(group), (rows, plan.batch_size))
        batches += [(number, positions) for positions in shuffled]
    return [batches[i] for i in random.permutation(len(batches))]
