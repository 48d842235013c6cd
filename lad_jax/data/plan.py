"""Which pictures stand on which canvas at which step: a pure function of (seed, step)."""

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from lad_jax.data.canvases import Canvas, assign, choose_canvases
from lad_jax.data.options import DataOptions
from lad_jax.data.records import DataSet, max_objects, training_positions
from lad_jax.data.transforms import resized_hw
from lad_jax.errors import InputError


@dataclass(frozen=True, eq=False)
class Plan:
    """The order of a run. Every process derives the same one, whatever part of it it reads."""

    canvases: tuple[Canvas, ...]
    groups: tuple[np.ndarray, ...]
    """Positions of the pictures of each canvas, rising."""
    batch_size: int
    max_objects: int
    """G of every batch."""
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches that show every picture at least once."""
        return sum(-(-len(group) // self.batch_size) for group in self.groups)

    def step(self, step: int) -> tuple[Canvas, Int[np.ndarray, " B"]]:
        """Canvas and positions of training step `step`, counted from 0 over all epochs."""
        epoch, number = divmod(step, self.steps_per_epoch)
        canvas, positions = _epoch(self, epoch)[number]
        return self.canvases[canvas], positions

    def in_order(self) -> list[tuple[Canvas, Int[np.ndarray, " B"]]]:
        """Batches that show every picture exactly once; -1 fills the last of each canvas."""
        return [
            (canvas, np.concatenate([part, np.full(self.batch_size - len(part), -1)]))
            for canvas, group in zip(self.canvases, self.groups, strict=True)
            for part in np.split(group, range(self.batch_size, len(group), self.batch_size))
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
            f"check config.data.train.annotations, or set config.data.filter_empty=False to train on empty pictures."
        )
    return _make_plan(dataset, options, positions, batch_size, seed)


def make_eval_plan(dataset: DataSet, options: DataOptions, *, batch_size: int) -> Plan:
    """The plan of an evaluation, over all pictures, with canvases of its own."""
    return _make_plan(dataset, options, np.arange(len(dataset.records)), batch_size, seed=0)


def _make_plan(
    dataset: DataSet, options: DataOptions, positions: Int[np.ndarray, " n"], batch_size: int, seed: int
) -> Plan:
    records = [dataset.records[position] for position in positions]
    originals = np.array([(record.height, record.width) for record in records])
    sizes = resized_hw(originals, short_side=options.short_side, long_side=options.long_side)
    canvases = choose_canvases(sizes, at_most=options.canvases, pad_multiple=options.pad_multiple)
    chosen = assign(sizes, canvases)
    return Plan(
        canvases=canvases,
        groups=tuple(positions[chosen == number] for number in range(len(canvases))),
        batch_size=batch_size,
        max_objects=max_objects(records),
        seed=seed,
    )


@functools.lru_cache(maxsize=2)
def _epoch(plan: Plan, epoch: int) -> list[tuple[int, np.ndarray]]:
    """Index of the canvas and positions of each batch of an epoch.

    Each canvas's pictures are shuffled and cut; the last batch is filled up with the first of that order again, so
    that batches stay full and an epoch's length does not change. Then the batches are shuffled.
    """
    random = np.random.default_rng((plan.seed, epoch))
    batches = []
    for canvas, group in enumerate(plan.groups):
        rows = -(-len(group) // plan.batch_size)
        shuffled = np.resize(random.permutation(group), (rows, plan.batch_size))
        batches += [(canvas, positions) for positions in shuffled]
    return [batches[i] for i in random.permutation(len(batches))]
