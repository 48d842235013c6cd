""" "Who is responsible": dots, objects and histograms are what the recorded assignment says."""

from typing import Any

import pytest

from tests.report.drawn import STRIDES
from tests.report.shown import COLAD, DATA, PAA, Shown, dots, levels_of, pairs, recorded


@pytest.mark.parametrize("run", [PAA, COLAD])
def test_dots_are_the_positives(shown: Shown, run: int) -> None:
    for picture in range(len(DATA["pictures"])):
        page = shown.open(a=run, b=1 - run, picture=picture)
        assert dots(page) == levels_of(recorded(run, -1, picture)["positives"]["prior"], picture)
        for level in page.locator(".panels figure").evaluate_all("(all) => all.map((p) => Number(p.dataset.level))"):
            assert f"stride {STRIDES[level]}" in page.locator(f"figure[data-level='{level}']").inner_text()


def test_a_dot_is_at_the_centre_of_its_prior(shown: Shown) -> None:
    """The centre of an anchor is the corner of its cell; the second level has a stride of 16."""
    page = shown.open(b="")
    first = DATA["pictures"][0]["levels"][0]["rows"] * DATA["pictures"][0]["levels"][0]["columns"]
    columns = DATA["pictures"][0]["levels"][1]["columns"]
    prior = next(p for p in recorded(PAA)["positives"]["prior"] if levels_of([p]) == {1: 1})
    row, column = divmod(prior - first, columns)
    scale = page.locator("#level-1").bounding_box()["width"] / DATA["pictures"][0]["width"]
    circle = page.locator(f"#level-1 .dot[data-prior='{prior}'] circle")
    place = [float(circle.get_attribute(name)) / scale / 16 for name in ("cx", "cy")]
    assert place == pytest.approx([column, row], abs=0.01)


def test_levels_without_candidates_are_folded(shown: Shown) -> None:
    page = shown.open(b="")
    there = set(levels_of(recorded(PAA)["entries"]["prior"]))
    assert page.locator(".panels figure").count() == len(there)
    absent = [f"stride {stride}" for level, stride in enumerate(STRIDES) if level not in there]
    assert all(text in page.locator(".folded").inner_text() for text in absent) and absent


def test_the_slider_goes_over_the_evaluations(shown: Shown) -> None:
    page = shown.open(b="")
    slider = page.locator("#evaluation")
    assert slider.get_attribute("aria-valuetext").startswith("step 400")
    slider.focus()
    for evaluation in (2, 1, 0):
        page.keyboard.press("ArrowLeft")
        assert dots(page) == levels_of(recorded(PAA, evaluation)["positives"]["prior"])
        assert slider.get_attribute("aria-valuetext").startswith(f"step {100 * (evaluation + 1)},")
    assert page.evaluate("document.activeElement.id") == "evaluation"


def test_a_against_b(shown: Shown) -> None:
    page = shown.open(a=PAA, b=COLAD)
    here, there = pairs(PAA), pairs(COLAD)
    expected = {"shared": here & there, "here": here - there, "there": there - here}
    for kind, members in expected.items():
        assert members
        assert dots(page, f".{kind}") == levels_of([prior for prior, _ in members])
        found = page.locator(f".dots .{kind}").evaluate_all(
            "(all) => all.map((d) => [+d.dataset.prior, +d.dataset.object])"
        )
        assert {tuple(pair) for pair in found} == members
    shared, only_a, only_b = (len(members) for members in expected.values())
    assert f"{shared} shared, {only_a} only A, {only_b} only B" in page.locator("#summary").inner_text()
    # Shapes differ, not hues alone: circles, squares, diamonds.
    shapes = [page.locator(f".dots .{kind} > :first-child").first.evaluate("(e) => e.tagName") for kind in expected]
    assert shapes == ["circle", "rect", "path"]


def test_a_network_alone(shown: Shown) -> None:
    """What one network's costs alone would give is shown as it was recorded, with its own explanation."""
    page = shown.open(a=f"{COLAD}.teacher", b="", object=0)
    expected = recorded(COLAD)["alone"]["teacher"]["positives"]
    found = page.locator(".dots .dot").evaluate_all("(all) => all.map((d) => [+d.dataset.prior, +d.dataset.object])")
    assert sorted(map(tuple, found)) == sorted(zip(expected["prior"], expected["object"], strict=True))
    assert set(expected["prior"]) != set(recorded(COLAD)["positives"]["prior"])
    assert page.locator(".histogram .gaussian").count() == 2


def test_the_histogram_of_an_object(shown: Shown) -> None:
    """Counts are of the object's candidates; the line stands at the largest positive cost, on the axis of both."""
    page = shown.open(a=PAA, b=COLAD)
    page.locator("#objects-0").click()
    entries, row = recorded(PAA)["entries"], recorded(PAA)["objects"][0]
    costs = [
        cost for cost, owner in zip(recorded(PAA)["costs"]["student"], entries["object"], strict=True) if owner == 0
    ]
    chart = page.locator(f".histogram[data-view='{PAA}']")
    assert counts(chart, "positive") == row["n_positive"] > 0
    assert counts(chart, "positive") + counts(chart, "negative") == len(costs)
    assert chart.locator(".gaussian").count() == 2
    positive = [cost for cost, prior in zip(costs, entries["prior"], strict=False) if (prior, 0) in pairs(PAA)]
    line = float(chart.locator(".threshold line").get_attribute("x1"))
    assert on_axis(chart, line) == pytest.approx(max(positive), abs=2e-3)
    other = page.locator(f".histogram[data-view='{COLAD}']")
    assert other.locator(".axes text").all_inner_texts() == chart.locator(".axes text").all_inner_texts()
    line = float(other.locator(".threshold line").get_attribute("x1"))
    assert on_axis(other, line) == pytest.approx(recorded(COLAD)["objects"][0]["threshold"], abs=2e-3)


def counts(chart: Any, kind: str) -> int:
    return sum(chart.locator(f".bar.{kind}").evaluate_all("(all) => all.map((bar) => Number(bar.dataset.count))"))


def on_axis(chart: Any, x: float) -> float:
    """The value at a place, by two ticks of the axis."""
    ticks = chart.locator(".axes text").evaluate_all(
        "(all) => all.map((t) => [Number(t.getAttribute('x')), +t.textContent])"
    )
    (x0, value0), (x1, value1) = ticks[0], ticks[-1]
    return value0 + (x - x0) / (x1 - x0) * (value1 - value0)


def test_objects_without_positives_and_crowds(shown: Shown) -> None:
    page = shown.open(a=PAA, b="", object=1)
    open_levels = page.locator(".panels figure").count()
    assert page.locator(".object.without").count() == page.locator(".object.crowd").count() == open_levels
    dashes = page.locator(".object.crowd .box").first.evaluate("(box) => getComputedStyle(box).strokeDasharray")
    assert dashes != "none"
    assert "None of its" in page.locator("#reason").inner_text()
    assert "✕" in page.locator("#objects-1").inner_text() and "✕" not in page.locator("#objects-0").inner_text()
    crowd = len(DATA["pictures"][0]["objects"]) - 1
    page.locator(f"#objects-{crowd}").click()
    assert "crowd" in page.locator("#reason").inner_text()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"n_candidates": 0}, "No prior is its candidate"),
        ({"n_candidates": 1}, "a single candidate"),
        ({"n_candidates": 18}, "None of its 18 candidates"),
        ({"n_candidates": 18, "n_positive": 1}, "1 of its 18 candidates is positive"),
    ],
)
def test_why_an_object_has_its_positives(shown: Shown, rows: dict[str, int], expected: str) -> None:
    page = shown.open()
    seen = "{ objects: [{ n_positive: 0, ...rows }], rowsOf: [[]], positives: new Map(), recorded: { entries: {} } }"
    said = page.evaluate(f"(rows) => reasonOf({{ objects: [{{ crowd: false }}] }}, {seen}, 0)", rows)
    assert said.startswith(expected) or expected in said


def test_why_none_of_its_candidates_is_positive(shown: Shown) -> None:
    """The five cheapest are told, wherever they stand in the record."""
    costs = [0.9, 0.1, 0.3, None, 0.2, 0.4, 0.5]
    seen = f"{{ objects: [{{ n_positive: 0, n_candidates: 7 }}], rowsOf: [[0, 1, 2, 3, 4, 5, 6]], costs: {costs}, "
    seen += "positives: new Map([[11, {object: 2}], [14, {object: 2}], [15, {object: 1}], [10, {object: 3}]]), "
    seen += (
        "recorded: { entries: { prior: [10, 11, 12, 13, 14, 15, 16] }, besides: { inside: [0, 1, 1, 0, 1, 1, 0] } } }"
    )
    said = shown.open().evaluate(f"reasonOf({{ objects: [{{ crowd: false }}] }}, {seen.replace('None', 'null')}, 0)")
    assert said == (
        "None of its 7 candidates is positive. Of its 5 cheapest 2 are responsible for object 2, 1 is negative, "
        "1 is responsible for object 1, 1 is outside the object."
    )


def test_pictures_by_objects_without_positives(shown: Shown) -> None:
    page = shown.open(a=PAA, b="", at=0, order="without")
    numbers = [
        sum(
            not thing["crowd"] and row["n_positive"] == 0
            for thing, row in zip(picture["objects"], recorded(PAA, 0, index)["objects"], strict=True)
        )
        for index, picture in enumerate(DATA["pictures"])
    ]
    assert max(numbers) > 0
    expected = [f"{n} ✕" if n else "" for n in sorted(numbers, reverse=True)]
    assert page.locator("#strip [role=option]").all_inner_texts() == expected
    others = sum(
        row["n_positive"] == 0 and not thing["crowd"]
        for picture, seen in zip(DATA["pictures"], DATA["runs"][COLAD]["evaluations"][0]["pictures"], strict=True)
        for thing, row in zip(picture["objects"], seen["objects"], strict=True)
    )
    names = [DATA["runs"][run]["name"] for run in (PAA, COLAD)]
    assert page.locator("#who").inner_text() == f"{sum(numbers)} in {names[0]}, {others} in {names[1]}"


def test_the_picture_stays_when_its_object_was_chosen(shown: Shown) -> None:
    """Whatever the order says at another evaluation."""
    page = shown.open(a=PAA, b="", at=0, order="without")
    page.locator("#objects-0").click()
    chosen = page.locator("#strip [aria-selected=true]").get_attribute("id")
    page.locator("#evaluation").press("ArrowRight")
    assert page.locator("#strip [aria-selected=true]").get_attribute("id") == chosen
    assert "picture=" in page.url


def test_what_is_under_the_pointer(shown: Shown) -> None:
    """Prior, IoU, cost by each network, and whose counts; by the arrow keys too."""
    page = shown.open(a=COLAD, b="")
    here = recorded(COLAD)
    row = next(
        i for i, prior in enumerate(here["entries"]["prior"]) if levels_of([prior]) == {1: 1} and here["source"][i]
    )
    prior = here["entries"]["prior"][row]
    place = page.evaluate(f"placeOf(PICTURES[0], {prior})")
    box = page.locator("#level-1").bounding_box()
    scale = box["width"] / DATA["pictures"][0]["width"]
    page.mouse.move(box["x"] + place["x"] * scale + 1, box["y"] + place["y"] * scale + 1)
    said = page.locator("#hover").inner_text()
    values = [here["entries"]["iou"][row], *(here["costs"][network][row] for network in ("student", "teacher"))]
    assert f"prior {prior}:" in said and "cost by teacher" in said
    cells = page.locator("#hover td").all_inner_texts()
    assert [float(cell) for cell in cells[1:4]] == pytest.approx(values, rel=6e-3) and cells[4] == "teacher"
    page.mouse.move(1, 1)
    assert page.locator("#hover").is_hidden()
    page.locator("#level-1").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#hover").is_visible() and "stride 16" in page.locator("#hover").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#hover").is_hidden()


def test_contested_priors(shown: Shown) -> None:
    """Those that the networks of the run give to different objects, or only one of them to any."""
    page = shown.open(a=COLAD, b="", contested=1)
    marked = sum(
        page.locator(".contested[data-count]").evaluate_all("(all) => all.map((g) => Number(g.dataset.count))")
    )
    sets = []
    for view in (f"{COLAD}.student", f"{COLAD}.teacher", str(COLAD)):
        other = shown.open(a=view, b="")
        found = other.locator(".dots .dot").evaluate_all(
            "(all) => all.map((d) => `${d.dataset.prior} ${d.dataset.object}`)"
        )
        sets.append(set(found))
    assert marked == len(set.union(*sets) - set.intersection(*sets)) > 0


def test_zoom(shown: Shown) -> None:
    """The box of the chosen object is within its panel, larger, and what is under the pointer stays the same."""
    page = shown.open(a=PAA, b="", object=2)
    sizes = []
    for zoom in (0, 1):
        page = shown.open(a=PAA, b="", object=2, zoom=zoom)
        panel, box = page.locator("#level-0"), page.locator("#level-0 .object.chosen .box")
        inner, outer = box.bounding_box(), panel.bounding_box()
        assert outer["x"] - 2 <= inner["x"] and inner["x"] + inner["width"] <= outer["x"] + outer["width"] + 2
        sizes.append(inner["width"])
        dot = page.locator(".panels .dots .dot[data-object='2']").first
        dot.hover()
        assert f"prior {dot.get_attribute('data-prior')}:" in page.locator("#hover").inner_text()
    assert sizes[1] > 1.2 * sizes[0]
    assert dots(page) == levels_of(recorded(PAA)["positives"]["prior"])
