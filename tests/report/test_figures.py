""" "Curves" and "What it gets wrong": figures are those of the data."""

import numpy as np
import pytest

from tests.report.drawn import CLASSES
from tests.report.shown import COLAD, DATA, PAA, Shown


def test_curves(shown: Shown) -> None:
    page = shown.open(tab="curves")
    loss = page.locator("[data-curve='loss'] path.line")
    assert loss.count() == 2 and page.locator("[data-curve='share_taught/teacher'] path.line").count() == 1
    rough = loss.first.get_attribute("d")
    assert rough.count("L") == len(DATA["runs"][PAA]["curves"]["loss"]["values"]) - 1
    page.locator("#smoothing").fill("0.8")
    assert loss.first.get_attribute("d") != rough
    page.locator("#curves label", has_text="colad").locator("input").uncheck()
    assert loss.count() == 1
    assert page.evaluate("smoothed([2, null, 2, 4], 0.5)") == pytest.approx([2, None, 2, 22 / 7])


def test_the_threshold_of_the_score(shown: Shown) -> None:
    page = shown.open(tab="errors", run=COLAD)
    page.locator("#classes-2").click()
    group = DATA["runs"][COLAD]["errors"]["classes"][2]
    scores = np.array(group["curve"]["scores"])
    for wanted in (0.25, 0.7):
        page.locator("#score").fill(str(wanted))
        kept = np.flatnonzero(scores >= wanted)[-1]  # the lowest score that counts
        precision, recall = group["curve"]["precision"][kept], group["curve"]["recall"][kept]
        said = page.locator("#at-threshold").inner_text().split("precision ")[1].split(";")[0]
        numbers = [float(part.split()[-1]) for part in said.split(",")]
        assert numbers == pytest.approx([precision, recall, 2 * precision * recall / (precision + recall)], rel=6e-3)
    line = page.locator("#threshold line")
    box = line.bounding_box()
    page.mouse.move(box["x"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] - 60, box["y"] + 40, steps=3)
    page.mouse.up()
    moved = float(page.locator("#score").input_value())
    assert 0.3 < moved < 0.65 and f"at {moved:.3g}:" in page.locator("#at-threshold").inner_text()
    page.locator("button", has_text="best threshold").click()
    assert "0.42 (best)" in page.locator("#errors output").inner_text()


def test_confusion_kinds_and_scores(shown: Shown) -> None:
    page = shown.open(tab="errors")
    errors = DATA["runs"][PAA]["errors"]
    table = page.locator(".confusion tbody tr").evaluate_all(
        "(rows) => rows.map((r) => [...r.cells].map((c) => c.textContent))"
    )
    assert [row[0] for row in table] == [*CLASSES, "background"]  # names are text, never markup
    assert [[int(cell or 0) for cell in row[1:]] for row in table] == errors["confusion"]["counts"]
    widths = page.locator(".kinds .fill").evaluate_all("(all) => all.map((bar) => parseFloat(bar.style.width))")
    gains = [run["errors"]["tide"][kind] for kind in errors["tide"] for run in DATA["runs"]]
    assert np.array(widths) / max(widths) == pytest.approx(np.array(gains) / max(gains), abs=1e-3)
    assert page.locator(".scores tbody tr").count() == len(errors["overall"])


def test_pictures_with_most_mistakes(shown: Shown) -> None:
    page = shown.open(tab="errors")
    assert page.locator("#worst li").count() == len(DATA["pictures"]) + 1
    detections = [row for row in DATA["runs"][PAA]["detections"][0] if row["score"] >= 0.42]
    assert page.locator("svg.mistakes .mistake:not(.missed)").count() == len(detections)
    page.locator("#worst").focus()
    page.keyboard.press("End")
    assert "no boxes" in page.locator(".worst .empty").inner_text()


def test_kinds_of_detections(shown: Shown) -> None:
    objects = [
        {"box": [0, 0, 10, 10], "label": 0, "crowd": False},
        {"box": [20, 0, 30, 10], "label": 1, "crowd": False},
        {"box": [40, 0, 80, 40], "label": 0, "crowd": True},
    ]
    detections = [
        {"box": [0, 0, 10, 9], "label": 0},  # found
        {"box": [0, 0, 10, 10], "label": 0},  # found a second time
        {"box": [20, 0, 30, 10], "label": 0},  # of the wrong class
        {"box": [50, 10, 60, 20], "label": 0},  # within the crowd
        {"box": [25, 0, 35, 10], "label": 1},  # IoU 1/3
    ]
    answer = shown.open().evaluate(
        "([o, d]) => { const r = matchBoxes(o, d); return [r.kinds, [...r.found]] }", [objects, detections]
    )
    assert answer == [["hit", "false", "false", "ignored", "false"], [0]]
