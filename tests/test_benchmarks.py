"""How the benchmarks tell parts of a step apart. That they run: `test_readme.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks._measure import Times, ratio
from benchmarks._parts import OTHER, part_of
from benchmarks._profile import Event, parse, profile, shares

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
    found = parse(PROGRAM)
    expected = {
        "fusion": ("fusion", "jit(f)/losses/add"),
        "sort.2": ("sort", "jit(f)/switch/sort"),
        "copy.3": ("copy", "jit(f)/losses/add"),
        "copy.4": ("copy", ""),
        "transpose.5": ("transpose", "jit(f)/optimiser/mul"),
        "gradient": ("fusion", "jit(f)/optimiser/mul"),
        "negate.7": ("negate", "jit(f)/optimiser/mul"),
    }
    assert {name: (found[name].opcode, found[name].scope) for name in expected} == expected


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
        ("jit(step)/mul", OTHER),
        ("", OTHER),
    ],
)
def test_part_of(scope: str, part: str):
    assert part_of(scope, ("student", "teacher")) == part


def test_a_profile_adds_up_and_finds_the_part_that_works():
    def f(x):
        with jax.named_scope("heavy"):
            y = jnp.sin(x @ x)
        with jax.named_scope("light"):
            return jnp.cumsum(y[0])

    x = jnp.asarray(np.random.default_rng(0).normal(size=(700, 700)), jnp.float32)
    program = jax.jit(f).lower(x).compile()
    seen = profile(program, lambda: jax.block_until_ready(program(x)), runs=3)
    seconds = {"heavy": 0.0, "light": 0.0}
    for scope, time in seen.by_scope.items():
        for name in seconds:
            seconds[name] += time if name in scope else 0.0
    assert 0 <= seen.idle < seen.wall, "time that instructions share was counted once"
    assert seconds["heavy"] > 20 * seconds["light"] > 0


def test_ratio_is_of_runs_of_the_same_turn():
    assert ratio(Times([2, 20, 200]), Times([1, 10, 50])) == 2
