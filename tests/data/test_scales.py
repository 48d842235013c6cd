"""Multi-scale training: which short sides are drawn, and canvases that hold every picture at all of them."""

import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from benchmarks.canvases import coco_sizes
from lad_jax.data import DataOptions, make_eval_plan, make_plan
from lad_jax.data.scales import bucket_short_sides, lay_out, padding_of
from lad_jax.data.transforms import resized_hw
from tests.data.test_loader import FOLDER, Sizes, train

SIDES = tuple(range(40, 97))
SINGLE = dataclasses.replace(FOLDER, short_side=96, long_side=144)
MULTI = dataclasses.replace(SINGLE, short_sides=SIDES, scale_buckets=2)
ORDER = [
    ((96, 64), [7, 9, 10]),
    ((64, 96), [12, 0, 1]),
    ((64, 96), [4, 5, 2]),
    ((64, 96), [6, 3, 13]),
    ((96, 64), [11, 8, 7]),
]
"""Of `FOLDER` without `short_sides`, as it was before there were any."""
DIFFERENCES = Path(__file__).parents[2] / "docs/differences.md"


def plan_of(options=MULTI, *, seed=0, batch_size=3):
    return make_plan(Sizes(), options, batch_size=batch_size, seed=seed)


@pytest.mark.parametrize("buckets", [1, 2])
def test_every_short_side_is_equally_likely(buckets):
    plan = plan_of(dataclasses.replace(MULTI, scale_buckets=buckets))
    assert len(plan.buckets) == buckets
    drawn = [plan.step(step).short_side for step in range(200 * len(SIDES))]
    counts = [drawn.count(side) for side in SIDES]
    assert sum(counts) == len(drawn)
    assert scipy.stats.chisquare(counts).pvalue > 0.01
    # and two steps that follow each other know nothing of each other
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.05


def test_the_draw_is_a_pure_function_of_seed_and_step():
    plan, again, other = plan_of(), plan_of(), plan_of(seed=1)
    steps = list(range(40))
    ahead = {step: again.step(step) for step in reversed(steps)}
    for step in steps:
        for ours, theirs in zip(plan.step(step), ahead[step], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert [plan.step(s).short_side for s in steps] != [other.step(s).short_side for s in steps]


def test_order_and_length_are_those_of_the_largest_scale():
    plan, single = plan_of(), plan_of(SINGLE)
    assert plan.steps_per_epoch == single.steps_per_epoch
    for step in range(3 * plan.steps_per_epoch):
        np.testing.assert_array_equal(plan.step(step).positions, single.step(step).positions)


def test_the_order_of_one_scale_is_what_it_always_was():
    """Checkpoints of earlier versions go on in it."""
    plan = plan_of(FOLDER)
    assert [(canvas, positions.tolist()) for canvas, positions, _ in map(plan.step, range(5))] == ORDER
    assert {plan.step(step).short_side for step in range(50)} == {64}


def test_one_listed_side_is_the_same_as_none():
    one = dataclasses.replace(FOLDER, short_sides=(64,), scale_buckets=1)
    for ours, theirs in zip(train(Sizes(), one), train(Sizes(), FOLDER), strict=True):
        np.testing.assert_array_equal(ours.pictures.images, theirs.pictures.images)
        np.testing.assert_array_equal(ours.truth.boxes, theirs.truth.boxes)


def test_evaluation_keeps_its_scale():
    plan, single = (make_eval_plan(Sizes(), options, batch_size=4) for options in (MULTI, SINGLE))
    assert plan.canvases == single.canvases
    assert {planned.short_side for planned in plan.in_order()} == {96}


def test_pictures_have_the_side_drawn_and_the_canvas_planned():
    dataset, plan = Sizes(), plan_of(batch_size=4)
    steps = 3 * plan.steps_per_epoch
    for step, batch in enumerate(train(dataset, MULTI, steps=steps)):
        planned = plan.step(step)
        assert planned.canvas in plan.canvases
        assert batch.canvas == planned.canvas
        assert (batch.pictures.image_hw.min(axis=1) == planned.short_side).all()
    assert len({plan.step(step).canvas for step in range(steps)}) == len(plan.canvases) > 2


@pytest.mark.parametrize("seed", range(5))
def test_canvases_hold_every_picture_at_every_side_and_no_more(seed):
    random = np.random.default_rng(seed)
    originals = random.integers(33, 500, (80, 2))
    sides = tuple(np.unique(random.integers(100, 400, 20)).tolist())
    buckets = bucket_short_sides(sides, at_most=3, pad_multiple=32)
    assert tuple(itertools.chain(*buckets)) == sides
    group, layout = lay_out(originals, buckets, long_side=600, canvases=4, pad_multiple=32)
    assert len(buckets) <= 3 and len(layout) <= 4
    for number, canvases in enumerate(layout):
        members = originals[group == number]
        assert len(members)
        for bucket, canvas in zip(buckets, canvases, strict=True):
            sizes = np.array([resized_hw(members, short_side=side, long_side=600) for side in bucket])
            assert (sizes <= canvas).all()
            assert not np.mod(canvas, 32).any()
            if bucket is not buckets[-1]:
                assert (sizes.max(axis=(0, 1)) > np.array(canvas) - 32).all()


def test_equal_canvases_are_one_program():
    plan = plan_of(dataclasses.replace(FOLDER, short_sides=(60, 64), scale_buckets=2))
    assert len(plan.buckets) == 1 and plan.canvases == plan_of(FOLDER).canvases
    # and where the long side bounds the pictures at either scale
    wide = make_plan(Sizes([(32, 320)] * 4), MULTI, batch_size=2, seed=0)
    assert len(wide.buckets) == 2 and wide.canvases == ((32, 160),)


@pytest.mark.parametrize("n", [2, 3])
def test_ranges_of_sides_are_about_the_best(n):
    """Against every way to part 640 … 800."""
    sides = np.arange(640, 801)

    def area(cuts):
        return sum(len(part) * float(-(-part[-1] // 32) * 32) ** 2 for part in np.split(sides, cuts))

    found = bucket_short_sides(tuple(sides.tolist()), at_most=n, pad_multiple=32)
    best = min(map(area, itertools.combinations(range(1, 161), n - 1)))
    assert area(np.cumsum([len(part) for part in found])[:-1]) <= 1.01 * best


def test_padding_of_coco_is_what_the_documentation_says():
    """Every row of the table in docs/differences.md; the mean over all sides, each picture as often as the others."""
    rows = re.findall(r"^\| (\d) ((?:\| [\d.]+ % \(\d+\) )+)\|$", DIFFERENCES.read_text(), re.MULTILINE)
    assert len(rows) == 3
    originals = coco_sizes()
    sides = tuple(range(640, 801))
    content = sum(resized_hw(originals, short_side=side, long_side=1333).prod(axis=1).sum() for side in sides)
    for canvases, cells in rows:
        for n, (share, programs) in enumerate(re.findall(r"([\d.]+) % \((\d+)\)", cells), start=1):
            buckets = bucket_short_sides(sides, at_most=n, pad_multiple=32)
            group, layout = lay_out(originals, buckets, long_side=1333, canvases=int(canvases), pad_multiple=32)
            area = sum(
                len(bucket) * np.prod(canvas) * np.sum(group == number)
                for number, row in enumerate(layout)
                for bucket, canvas in zip(buckets, row, strict=True)
            )
            assert 100 * (1 - content / area) == pytest.approx(float(share), abs=0.051)
            assert padding_of(originals, group, buckets, layout, long_side=1333) == pytest.approx(1 - content / area)
            assert len({canvas for row in layout for canvas in row}) == int(programs)
    assert (DataOptions().canvases, DataOptions().scale_buckets) == (4, 3), "what the page calls the default"
