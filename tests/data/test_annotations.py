"""Annotation files: values by their meaning, faults by name, and the one rule of which boxes count."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lad_jax.data.annotations import counted, find_doubts, left_out, load_annotations
from lad_jax.data.coco import labels_of, make_records
from lad_jax.errors import InputError
from lad_jax.evaluation.coco import evaluate

HUGE = 2**63 + 5
CONTENT = {
    "categories": [{"id": 9, "name": "cat"}, {"id": 2, "name": "dog"}],
    "images": [
        {"id": 7, "file_name": "a.png", "width": 60, "height": 40},
        {"id": 3, "file_name": "b.png", "width": 50, "height": 50},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 10, 20], "area": 150, "iscrowd": 0},
        {"id": 2, "image_id": 3, "category_id": 9, "bbox": [0, 0, 20, 30], "area": 600},
        {"id": 3, "image_id": 7, "category_id": 2, "bbox": [30, 5, 8, 9], "area": 72, "ignore": 0},
    ],
}


def load(tmp_path: Path, content: Any) -> dict[str, list[dict[str, Any]]]:
    """The content as a file of it is read; texts are taken as JSON as they are."""
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "a.json").write_text(text)
    return load_annotations(tmp_path / "a.json", "config.data.train.annotations")


def changed(section: str, number: int, **values: Any) -> dict[str, Any]:
    content: dict[str, Any] = copy.deepcopy(CONTENT)
    content[section][number] |= values
    return content


def without(section: str, number: int, key: str) -> dict[str, Any]:
    content: dict[str, Any] = copy.deepcopy(CONTENT)
    del content[section][number][key]
    return content


@pytest.mark.parametrize(
    ("section", "field", "meant", "spellings"),
    [
        ("annotations", "iscrowd", 1, [1, 1.0, True, "1", "true", "TRUE", " yes ", "1.0"]),
        ("annotations", "iscrowd", 0, [0, 0.0, False, None, "0", "false", "False", "no", "", "0.0"]),
        ("annotations", "ignore", 1, [1, True, "true", "1"]),
        ("annotations", "ignore", 0, [0, False, "false", None, "0"]),
        ("annotations", "area", 150.0, [150, 150.0, "150", " 1.5e2 "]),
        ("annotations", "area", None, [None]),
        ("annotations", "bbox", [1.0, 2.0, 10.5, 20.0], [[1, 2, 10.5, 20], ["1", "2.0", "10.5", "2e1"]]),
        ("images", "width", 60, [60, 60.0, "60", "60.0"]),
        ("images", "height", 40, [40, "40"]),
    ],
)
def test_values_are_read_by_their_meaning(tmp_path, section, field, meant, spellings) -> None:
    for spelling in spellings:
        assert load(tmp_path, changed(section, 0, **{field: spelling}))[section][0][field] == meant, spelling


NO_NUMBER = ["big", "", True, {}, [1], math.nan, math.inf, "nan", "inf", "0x10", "1,5", "1_0", 10**400, "9" * 400]


@pytest.mark.parametrize(
    ("section", "field", "values", "must_be"),
    [
        ("annotations", "iscrowd", ["maybe", 2, -1, [0], {}, math.nan, "00", 10**400], "0 or 1"),
        ("annotations", "ignore", ["x", 0.5, [], math.inf], "0 or 1"),
        ("annotations", "area", NO_NUMBER, "a .*number"),
        ("annotations", "bbox", [[1, 2, 3, bad] for bad in [*NO_NUMBER, None]], "a list of 4 numbers, each a .*number"),
        ("annotations", "bbox", [None, [], [1, 2, 3], [1, 2, 3, 4, 5], "1 2 3 4", {}, 7], "a list of 4 numbers"),
        (
            "annotations",
            "bbox",
            [[1, 2, 1e308, 4], [-1e8, 2, 3, 4], [1, "2e7", 3, 4]],
            "a list of 4 numbers of at most",
        ),
        ("annotations", "id", ["1", 1.0, True, None, [1], {}], "an integer"),
        ("annotations", "image_id", ["7", 7.0, True, None], "an integer"),
        ("images", "id", ["7", 7.5, False, None, math.nan], "an integer"),
        ("images", "width", [*NO_NUMBER, None], "a .*number"),
        ("images", "height", [0, -3, 0.5, 40.5, "0"], "a whole number of pixels, at least 1"),
        ("images", "file_name", [None, 3, ["a.png"], True], "text"),
        ("categories", "name", [None, 3, {}], "text"),
        ("categories", "id", ["2", None, 2.0, True], "an integer"),
    ],
)
def test_other_values_are_named(tmp_path, section, field, values, must_be) -> None:
    for value in values:
        where = rf"a\.json: {section}\[0\] \(id .*\): {field} is .*; it must be {must_be}"
        with pytest.raises(InputError, match=where):
            load(tmp_path, changed(section, 0, **{field: value}))


def test_integers_of_thousands_of_digits(tmp_path: Path) -> None:
    """Python refuses to read them, wherever they stand."""
    text = json.dumps(CONTENT).replace("150", "1" * 6000)
    with pytest.raises(InputError, match=r"\(id 1\): area is inf; it must be a finite number"):
        load(tmp_path, text)
    unread = json.dumps({**CONTENT, "info": {"version": 7_777_777}}).replace("7777777", "1" * 6000)
    assert load(tmp_path, unread) == load(tmp_path, CONTENT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({k: v for k, v in CONTENT.items() if k != "images"}, "a.json has no list 'images'"),
        ({k: v for k, v in CONTENT.items() if k != "annotations"}, "a.json has no list 'annotations'"),
        ({k: v for k, v in CONTENT.items() if k != "categories"}, "a.json has no list 'categories'"),
        (CONTENT | {"annotations": {}}, "a.json has no list 'annotations'"),
        ([CONTENT], "a.json has no list"),
        (CONTENT | {"images": [], "annotations": []}, "a.json: images is empty"),
        (CONTENT | {"categories": []}, "a.json: categories is empty"),
        (CONTENT | {"images": [3]}, r"images\[0\] is 3; it must be an object with id, file_name, width, height"),
        (without("categories", 1, "name"), r"categories\[1\] \(id 2\) lacks 'name'"),
        (without("annotations", 2, "bbox"), r"annotations\[2\] \(id 3\) lacks 'bbox'"),
        (without("images", 0, "id"), r"images\[0\] \(id None\) lacks 'id'"),
        (changed("annotations", 0, image_id=8), "annotation id 1 has image_id 8, which is not in 'images'"),
        (changed("annotations", 0, category_id=4), "annotation id 1 has category_id 4, which is not in 'categories'"),
        (changed("images", 1, id=7), "duplicate ids in images: 7"),
        (changed("annotations", 1, id=1), "duplicate ids in annotations: 1"),
        (changed("categories", 1, id=9), "duplicate ids in categories: 9"),
        (changed("categories", 1, name="cat"), "several categories of one name: cat. .* rename them"),
        (changed("images", 1, file_name="a\nb.png"), "control characters"),
    ],
)
def test_a_file_of_another_structure_is_named(tmp_path, content, message) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path, content)


def perfect(content: dict[str, Any], *but: int) -> list[dict[str, Any]]:
    """Detections that equal the annotations of a file, but for those of some ids."""
    return [
        {"score": 0.9, **{key: a[key] for key in ("image_id", "category_id", "bbox")}}
        for a in content["annotations"]
        if a["id"] not in but
    ]


def score(content: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, float | None]:
    ids, names = labels_of(content)
    return evaluate(counted(content), results, names, ids).overall


@pytest.mark.parametrize("number", [HUGE, -HUGE, 2**200, -1, 0, 2**53 + 1, 2**31])
def test_ids_of_any_size(tmp_path, number: int) -> None:
    """Beside others that differ in their last bit, of images and of categories: labels go by rising id."""
    content: dict[str, Any] = copy.deepcopy(CONTENT)
    for section, name in (("images", "image_id"), ("categories", "category_id")):
        new = dict(zip([entry["id"] for entry in content[section]], (number, number + 1), strict=True))
        for entry in content[section]:
            entry["id"] = new[entry["id"]]
        for annotation in content["annotations"]:
            annotation[name] = new[annotation[name]]
    content = load(tmp_path, content)
    assert labels_of(content) == ((number, number + 1), ("cat", "dog"))
    assert [record.id for record in make_records("a.json", content, strict=True)] == [number, number + 1]
    assert score(content, perfect(content))["AP"] == pytest.approx(1)
    swapped = [{**found, "image_id": 2 * number + 1 - found["image_id"]} for found in perfect(content)]
    assert score(content, swapped)["AP"] == 0


GONE = {
    "no width": {"bbox": [5, 5, 0, 9]},
    "below a pixel": {"bbox": [5, 5, 9, 0.5]},
    "negative": {"bbox": [9, 9, -5, -5]},
    "outside": {"bbox": [70, 5, 9, 9]},
    "no area": {"area": 0},
}


@pytest.mark.parametrize("kind", GONE)
def test_what_is_not_trained_on_is_not_missed(tmp_path, kind: str) -> None:
    content = load(tmp_path, changed("annotations", 0, **GONE[kind]))
    assert sum(len(record.boxes) for record in make_records("a.json", content, strict=False)) == 2
    assert score(content, perfect(content, 1))["AP"] == pytest.approx(1)


def test_an_ignored_object_is_neither_missed_nor_a_mistake(tmp_path: Path) -> None:
    content = load(tmp_path, changed("annotations", 0, ignore="true"))
    assert sum(len(record.boxes) for record in make_records("a.json", content, strict=True)) == 2
    assert score(content, perfect(content))["AP"] == score(content, perfect(content, 1))["AP"] == pytest.approx(1)
    # A crowd takes any detection within it; an ignored object only one that overlaps it as a detection of it does.
    part = {"image_id": 7, "category_id": 2, "bbox": [1, 2, 4, 8], "score": 0.95}
    assert score(content, [part, *perfect(content)])["AP"] < 1
    crowd = load(tmp_path, changed("annotations", 0, iscrowd="true"))
    assert score(crowd, [part, *perfect(crowd)])["AP"] == pytest.approx(1)


@pytest.mark.parametrize("seed", range(4))
def test_training_and_evaluation_count_the_same(tmp_path, seed: int) -> None:
    """Of boxes anywhere about a picture, with any marks."""
    rng = np.random.default_rng(seed)
    content: dict[str, Any] = {**CONTENT, "annotations": []}
    for number in range(60):
        box = np.round(np.r_[rng.uniform(-20, 60, 2), rng.uniform(-2, 20, 2)], 1).tolist()
        marks = {"iscrowd": int(rng.uniform() < 0.2), "ignore": int(rng.uniform() < 0.2)}
        area = float(rng.choice([0.0, 3.0, 50.0]))
        content["annotations"] += [{"id": number, "image_id": 7, "category_id": 2, "bbox": box, "area": area, **marks}]
    content = load(tmp_path, content)
    trained = sum(len(record.boxes) for record in make_records("a.json", content, strict=False))
    evaluated = counted(content)["annotations"]
    assert trained == sum(not a["ignore"] for a in evaluated) < len(evaluated) < 60
    assert sum(np.logical_or.reduce(list(left_out(content).values()))) == 60 - trained


@pytest.mark.parametrize("placeholder", [0, 1, 1.0, "1", -1])
def test_placeholders_of_areas_give_way_to_the_boxes(tmp_path, placeholder: Any) -> None:
    content: dict[str, Any] = copy.deepcopy(CONTENT)
    for annotation in content["annotations"]:
        annotation["area"] = placeholder
    loaded = load(tmp_path, content)
    [doubt] = find_doubts(loaded)
    assert "placeholder: the boxes' own areas are taken" in doubt
    assert [a["area"] for a in counted(loaded)["annotations"]] == [200, 600, 72]
    del content["annotations"][0]["area"]  # not all of them: they are meant
    assert not find_doubts(load(tmp_path, content))


def test_an_absent_area_is_the_boxs(tmp_path: Path) -> None:
    for content in (without("annotations", 0, "area"), changed("annotations", 0, area=None)):
        assert [a["area"] for a in counted(load(tmp_path, content))["annotations"]] == [200, 600, 72]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT, None),
        (changed("images", 1, file_name="a.png"), "1 pictures are listed more than once, under several ids: a.png"),
        (changed("images", 1, file_name="./a.png"), "1 pictures are listed more than once"),
        (changed("categories", 1, name="Cat"), "differ in capital letters or spaces alone: 'cat' and 'Cat'"),
        (changed("categories", 1, name="c at "), "differ in capital letters or spaces alone: 'cat' and 'c at '"),
    ],
)
def test_doubts(tmp_path, content: Any, message: str | None) -> None:
    doubts = find_doubts(load(tmp_path, content))
    assert [message in doubt for doubt in doubts] == ([True] if message else [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_marked_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    content = changed("categories", 0, name="Füchsin 狐")
    (tmp_path / "a.json").write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    assert load_annotations(tmp_path / "a.json", "key")["categories"][0]["name"] == "Füchsin 狐"


@pytest.mark.parametrize(
    ("encoding", "name"), [("gb2312", "狐"), ("shift_jis", "狐"), ("cp1252", "Füchsin"), ("utf-16-le", "狐")]
)
def test_another_encoding_is_refused_with_the_remedy(encoding: str, name: str, tmp_path: Path) -> None:
    content = changed("categories", 0, name=name)
    (tmp_path / "a.json").write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    with pytest.raises(InputError, match=r"a\.json is not UTF-8 text\. Save it as UTF-8: .*iconv"):
        load_annotations(tmp_path / "a.json", "key")
