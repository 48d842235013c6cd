"""The page as a file: whole, by itself, for the keyboard too, and its state in its address."""

import copy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lad_jax.report.page import SCRIPTS, write_page
from scripts.picture import take
from tests.report.drawn import CLASSES
from tests.report.shown import COLAD, DATA, PAA, Shown, dots


def test_the_address_keeps_the_state(shown: Shown) -> None:
    page = shown.open(a=COLAD, b=PAA, picture=2, object=3, at=1, contested=1, costs="b")
    before = page.locator("#responsible").inner_html()
    assert "Object 3" in page.locator(".details").inner_text()
    page.locator("#objects-2").click()
    assert "object=2" in page.url
    page.locator("#objects-3").click()
    page.reload()
    assert page.locator("#responsible").inner_html() == before
    page.evaluate("location.hash = '#tab=curves'")
    page.locator("#curves").wait_for()
    for nonsense in ({"tab": "gone"}, {"picture": 99, "at": 99, "object": 99}, {"a": "7.x", "b": "no"}, {"at": "one"}):
        assert dots(shown.open(**nonsense))


def test_the_keyboard_is_enough(shown: Shown) -> None:
    page = shown.open(b="")
    page.locator("#tab-responsible").focus()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert {"evaluation", "strip", "level-0", "objects"} <= set(reached)
    page.locator("#strip").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("[STATE.picture, document.activeElement.id]") == [1, "strip"]
    page.locator("#objects").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("[STATE.object, document.activeElement.id]") == [0, "objects"]
    page.locator("#tab-responsible").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#curves").is_visible() and page.evaluate("document.activeElement.id") == "tab-curves"


def test_runs_without_records_have_a_line_each(browser: Any, tmp_path: Path) -> None:
    data = copy.deepcopy(DATA)
    for run in data["runs"]:
        run.update(evaluations=[], errors=None, curves={})
    write_page(data, tmp_path / "report.html")
    shown = Shown(browser, tmp_path / "report.html")
    for tab in ("responsible", "curves", "errors"):
        assert shown.open(tab=tab).locator(f"#{tab} .empty").is_visible()
    assert shown.complaints == []
    shown.page.close()


def test_a_detector_that_finds_nothing(browser: Any, tmp_path: Path) -> None:
    """No threshold is best then; and a mixture of one candidate is not finite."""
    data = copy.deepcopy(DATA)
    for run in data["runs"]:
        nothing = {"AP": None, "AP50": None, "recall": None, "best_threshold": None, "f1": None}
        curve = {"scores": [], "precision": [], "recall": []}
        run["errors"]["threshold"] = {"best": None, "f1": None}
        run["errors"]["classes"] = [{"name": name, **nothing, "curve": curve} for name in CLASSES]
        run["errors"]["tide"] = dict.fromkeys(run["errors"]["tide"])
        run["detections"] = [[] for _ in data["pictures"]]
        for evaluation in run["evaluations"]:
            evaluation["overall"] = {"AP": None}
            for picture in evaluation["pictures"]:
                picture["costs"] = {name: [None] * len(costs) for name, costs in picture["costs"].items()}
                mixture = {"means": [None, None], "variances": [0, 0], "weights": [1, None]}
                picture["objects"][0]["explanation"] = mixture
    write_page(data, tmp_path / "report.html")
    shown = Shown(browser, tmp_path / "report.html")
    assert "no detection" in shown.open(tab="errors").locator("#at-threshold").inner_text()
    assert shown.open(object=0, contested=1).locator("#reason").is_visible()
    assert shown.complaints == []
    shown.page.close()


def test_what_data_hold_is_never_markup(browser: Any, tmp_path: Path) -> None:
    hostile = "</script><script>throw 1</script>{{data}} <b> & \u2028"
    write_page({**DATA, "title": hostile, "class_names": [hostile] * 3}, tmp_path / "report.html")
    shown = Shown(browser, tmp_path / "report.html")
    page = shown.open(tab="responsible")
    assert page.locator("#title").text_content() == hostile
    assert page.locator("#objects-0 .name").text_content() == hostile
    assert shown.complaints == []
    page.close()


def test_what_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_page({**DATA, "notes": [float("nan")]}, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_every_script_enters_the_page() -> None:
    folder = Path(__file__).parents[2] / "lad_jax" / "report" / "web"
    assert {path.stem for path in folder.glob("*.js")} == set(SCRIPTS)


def test_time_of_a_redraw(shown: Shown, capsys: pytest.CaptureFixture[str]) -> None:
    """Printed: it depends on the machine."""
    page = shown.open(a=PAA, b=COLAD, contested=1, object=0)
    clock = """() => {
        const start = performance.now();
        draw();
        document.body.getBoundingClientRect();  // lays it out
        return performance.now() - start;
    }"""
    times = [page.evaluate(clock) for _ in range(5)]
    with capsys.disabled():
        print(f"\na redraw takes {np.median(times):.0f} ms")


def test_a_picture_is_taken_of_what_the_address_says(browser: Any, tmp_path: Path) -> None:
    write_page(DATA, tmp_path / "report.html")
    taken = []
    for state in ("b=", f"b=&picture={len(DATA['pictures']) - 1}"):
        take(browser, tmp_path / "report.html", tmp_path / "taken.jpg", state, (1000, 500))
        taken.append(cv2.imread(str(tmp_path / "taken.jpg")))
    assert taken[0].shape == taken[1].shape == (500, 1000, 3) and (taken[0] != taken[1]).any()
