"""Every benchmark runs at a tiny size and prints its table (`benchmarks.step`: `test_readme.py`); what they compute."""

import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.profiler import ProfileData

from benchmarks._hlo import collectives
from benchmarks._measure import Times, ratio
from benchmarks._parts import OTHER, part_of
from benchmarks._profile import Event, profile, shares
from benchmarks._scopes import scopes_of
from benchmarks._text import read_text
from benchmarks._tpu import largest
from tests.networks import TINY

MODEL = [f"--config.model.{key}={value}" for key, value in TINY.items()]
CANVAS = ["--height=64", "--width=96"]
STEP = ["--config=configs/base.py", *MODEL, *CANVAS, "--runs=1"]
COMMANDS = {
    "assign": [
        *(*CANVAS, "--assigners=hungarian,tal", "--batch=2", "--classes=3", "--objects=7", "--literal=7"),
        "--runs=1",
    ],
    "paa": [*CANVAS, "--batch=2", "--classes=3", "--objects=1,7", "--literal=7", "--runs=1"],
    "canvases": [],
    "inference": [*MODEL, *CANVAS, "--batch=1,2", "--classes=3", "--runs=1", "--beside="],
    "loader": ["--workers=0", *CANVAS, "--short_side=64", "--batch=2", "--batches=2", "--rounds=1", "--files=4"],
    "xla_flags": ["--rounds=1", "--only=default,fast math", "--", *STEP],
    "aot": [
        *("--configs=configs/narrow.py:colad_r50_r101_1x", "--topology=v5e:2x2", "--remat=all", "--pictures=2"),
        *(*CANVAS, "--objects=8"),
    ],
}


def run(name: str) -> list[str]:
    """The rows of the tables that a benchmark prints: what follows the line under a head."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *COMMANDS[name]]
    ended = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    tables = re.findall(r"^\|[-:| ]+\|\n((?:\|.*\n)+)", ended.stdout, re.MULTILINE)
    return [row for table in tables for row in table.splitlines()]


@pytest.mark.parametrize(
    ("name", "n_rows"),
    [
        *(("assign", 2), ("canvases", 13), ("inference", 2), ("loader", 1)),
        *(pytest.param(name, 2, marks=pytest.mark.slow) for name in ("paa", "xla_flags")),
    ],
)
def test_runs_and_prints_its_table(name: str, n_rows: int) -> None:
    assert len(run(name)) >= n_rows


@pytest.mark.slow
def test_compiles_for_a_tpu_and_prints_its_table() -> None:
    pytest.importorskip("libtpu", reason="libtpu is not installed: pip install 'lad-jax[tpu]'")
    [row] = run("aot")
    assert "refused" not in row


PROGRAM = """
%fused (param_0: f32[8]) -> f32[8] {
  %param_0 = f32[8]{0} parameter(0), metadata={op_name="x"}
  ROOT %add.1 = f32[8]{0} add(%param_0, %param_0), metadata={op_name="jit(f)/losses/add" stack_frame_id=1}
}

%nameless (param_0.1: f32[8]) -> f32[8] {
  %param_0.1 = f32[8]{0} parameter(0)
  ROOT %negate.0 = f32[8]{0} negate(%param_0.1)
}

ENTRY %main (x: f32[8]) -> (f32[8], f32[8], f32[8]) {
  %x = f32[8]{0} parameter(0), metadata={op_name="x"}
  %fusion = f32[8]{0} fusion(%x), kind=kLoop, calls=%fused
  %sort.2 = (f32[8]{0:T(8,128)}, s32[8]{0}) sort(%fusion, %x), metadata={op_name="jit(f)/switch/sort" stack_frame_id=2}
  %copy.3 = f32[8]{0} copy(%fusion)
  %copy.4 = f32[8]{0} copy(%x)
  %transpose.5 = f32[8]{0} transpose(%fusion), dimensions={0}
  %gradient = f32[8]{0} fusion(%transpose.5), kind=kCustom, calls=%nameless
  %bitcast.6 = f32[8]{0} bitcast(%gradient), metadata={op_name="jit(f)/optimiser/mul" stack_frame_id=3}
  %negate.7 = f32[8]{0} negate(%bitcast.6)
  ROOT %tuple = (f32[8]{0}, f32[8]{0}, f32[8]{0}) tuple(%copy.3, %copy.4, %negate.7)
}
"""


def test_instructions_without_a_scope_take_that_of_what_they_hold_or_are_made_for_or_of():
    found = scopes_of(read_text(PROGRAM))
    expected = {
        "fusion": "jit(f)/losses/add",
        "sort.2": "jit(f)/switch/sort",
        "copy.3": "jit(f)/losses/add",
        "copy.4": "",
        "transpose.5": "jit(f)/optimiser/mul",
        "gradient": "jit(f)/optimiser/mul",
        "negate.7": "jit(f)/optimiser/mul",
    }
    assert {name: found[name] for name in expected} == expected


def test_a_profile_that_is_kept_names_instructions_of_the_program_beside_it(tmp_path: Path):
    x = jnp.ones((64, 64))
    program = jax.jit(lambda x: jnp.sin(x) @ x).lower(x).compile()
    profile(program, lambda: jax.block_until_ready(program(x)), 2, tmp_path)
    planes = ProfileData.from_file(str(tmp_path / "profile.xplane.pb")).planes
    named = {dict(event.stats).get("hlo_op") for plane in planes for line in plane.lines for event in line.events}
    assert named & set(read_text((tmp_path / "program.txt").read_text()).instructions)


def test_time_that_several_instructions_share_is_divided_among_them():
    second = 1e9
    events = [Event(0, 4 * second, "a"), Event(1 * second, 3 * second, "b"), Event(6 * second, 7 * second, "a")]
    assert shares(events) == pytest.approx({"a": 1 + 1 + 1 + 1, "b": 1})


@pytest.mark.parametrize(
    ("scope", "part"),
    [
        ("jit(step)/jvp(student)/Detector/backbone/layer1_0/conv1/conv", "student: backbone, forward"),
        ("jit(step)/transpose(jvp(student))/Detector/bbox_head/dot", "student: head, backward"),
        ("jit(step)/teacher/Detector/neck/add", "teacher: neck, forward"),
        ("jit(step)/jvp(student)/Detector/exp", "student: pixels and decoding, forward"),
        ("jit(step)/jvp(assignment)/vmap(candidates)/while/body/max", "assignment: candidates"),
        ("jit(step)/jvp(assignment)/vmap(add)", "assignment: costs and partition"),
        ("jit(step)/transpose(jvp(losses))/vmap/mul", "losses"),
        ("jit(detector)/vmap(postprocess)/vmap(nms)/while/body/top_k", "detections: NMS"),
        ("jit(step)/mul", OTHER),
        ("", OTHER),
    ],
)
def test_part_of(scope: str, part: str):
    assert part_of(scope, ("student", "teacher")) == part


def test_ratio_is_of_runs_of_the_same_turn():
    assert ratio(Times([2, 20, 200]), Times([1, 10, 50])) == 2


@pytest.mark.parametrize("start", [1, 4, 6, 50])
@pytest.mark.parametrize(("fixed", "each", "limit"), [(0.5, 2.4, 15.75), (3.0, 0.9, 95.0), (9.0, 8.0, 15.75)])
def test_search_for_what_fits_a_chip_finds_the_largest_that_fits(fixed, each, limit, start):
    compiled = []

    def figures_of(n):
        compiled.append(n)
        memory = fixed + each * n + 0.01 * n % 0.05
        figures = {"memory_gib": {"arguments": 0.8 * fixed, "temporaries": memory - 0.8 * fixed}}
        return figures if memory <= 1.1 * limit else {"refused": "too much"}

    n = largest(figures_of, start, limit)
    assert n == max([i for i in range(200) if fixed + each * i + 0.01 * i % 0.05 <= limit])
    assert not n or n in compiled
    assert len(compiled) == len(set(compiled)) <= 6


def test_collectives_in_the_text_of_a_tpu():
    """With layouts, comments, one-byte and two-byte types, and pairs that begin and end."""
    text = """
  %all-reduce.1 = (bf16[]{:T(256)}, /*index=1*/bf16[3,3,128]{2,1,0:T(8,128)(2,1)}) all-reduce(%a, %b), channel_id=1
  %all-gather-start.2 = (f32[4]{0:T(128)}, f32[16]{0:T(128)}) all-gather-start(%c), dimensions={0}
  %all-gather-done.2 = f32[16]{0:T(128)} all-gather-done(%all-gather-start.2)
  ROOT %all-reduce.3 = pred[]{:T(512)} all-reduce(%d), to_apply=%or
  %get-tuple-element.4 = bf16[]{:T(256)} get-tuple-element(%all-reduce.1), index=0
"""
    assert collectives(text) == {
        "all-reduce": {"count": 2, "bytes": 2 + 2 * 9 * 128 + 1},
        "all-gather": {"count": 1, "bytes": 64},
    }
