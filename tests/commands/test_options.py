"""The list of options: every option has a meaning and can be set; what may change is marked."""

import dataclasses
import re

import pytest

from lad_jax.commands.options import listing, walk
from lad_jax.config import from_config
from lad_jax.errors import InputError
from lad_jax.models import SwinOptions
from lad_jax.options import RunOptions, TeacherOptions

ENTRIES = list(walk(RunOptions()))
OPTIONS = [entry for entry in ENTRIES if not entry.is_group]


def test_every_option_has_a_meaning() -> None:
    assert [entry.key for entry in ENTRIES if not entry.meaning] == []


def test_every_listed_key_can_be_set_to_its_default() -> None:
    family = ""
    for entry in OPTIONS:
        family = entry.default if entry.key.endswith(".family") else family
        value = entry.default
        for part in reversed(entry.key.split(".")):
            if part == "backbone" and isinstance(value, dict):
                value["family"] = family
            value = {part.removesuffix("[i]"): [value] if part.endswith("[i]") else value}
        from_config(RunOptions, {"method": "colad"} | value)


def test_all_options_are_listed() -> None:
    """In full, but for groups that another one's keys and defaults are those of."""

    def count(options: object) -> int:
        values = [getattr(options, field.name) for field in dataclasses.fields(options)]  # type: ignore[arg-type]
        return sum(count(value) if dataclasses.is_dataclass(value) else 1 for value in values)

    other_family, peer = 3 * count(SwinOptions()), count(TeacherOptions()) - 1
    assert len({(e.key, e.kind) for e in OPTIONS}) == len(OPTIONS) - 3 * 2  # remat and pretrained, of both families
    assert len(OPTIONS) == count(RunOptions()) + other_family + peer
    text = listing()
    repeated = ("teacher.model.", "peers[i].", "data.val.", "data.test.")
    assert [e.key for e in OPTIONS if f" {e.key} " not in text and not e.key.startswith(repeated)] == []
    assert " teacher.model.anchor_scale " in listing("teacher.model") and " peers[i].path " in listing("peers[0]")


def test_marks_of_what_may_change() -> None:
    """Groups whole; of networks the same for each."""
    lines = [*listing().splitlines(), *listing("teacher.model.").splitlines(), *listing("peers").splitlines()]
    marked = {line.split()[1] for line in lines if line.startswith("* ")}
    assert marked >= {"train.accumulate", "evaluation.postprocess.nms_iou", "data.train.images", "teacher.path"}
    assert marked >= {"model.backbone.remat", "teacher.model.backbone.remat", "peers[i].model.backbone.remat"}
    assert not marked & {"method", "train.batch_size", "dtype", "teacher.network", "peers[i].model.channels"}


def test_the_list_fits_a_terminal() -> None:
    assert max(map(len, listing().splitlines())) <= 100


def test_values_are_those_of_the_group() -> None:
    """The two soft terms differ by a default."""
    assert re.search(r" soft_label\.class_weight +float = 10\.0\n", listing("soft"))
    assert re.search(r" solad\.class_weight +float = 2\.0\n", listing("config.solad"))


def test_a_prefix_that_no_key_has() -> None:
    with pytest.raises(InputError, match=r"'train\.bach_size'\. Did you mean train\.batch_size"):
        listing("train.bach_size")
