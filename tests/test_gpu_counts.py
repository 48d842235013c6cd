"""What a program launches on a GPU is counted from what its compiler writes; the model's time is worked out by hand."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import lad_jax
from benchmarks import _gpu, _h100, _memory
from benchmarks._convolutions import Convolution, convolution, convolution_operations
from benchmarks._launches import Turns, launches, read
from benchmarks._parts import OTHER
from benchmarks._programs import Case
from benchmarks._text import read_text
from benchmarks._time_model import convolution_seconds, h200_ms, kernel_seconds

NAMES = "".join(
    f'thunk_metadata {{\n  thunk_info {{\n    profile_annotation: "{name}"\n    thunk_id: {number}\n  }}\n'
    f'  thunk_kind: "{kind}"\n}}\n'
    for number, kind, name in [
        *((1, "kCustomKernel", "add.1"), (2, "kWhile", "known"), (4, "kCopy", "copy.4"), (5, "kConvolution", "conv")),
        *((6, "kWhile", "open"), (7, "kCustomKernel", "look"), (8, "kCustomKernel", "turn"), (9, "kWhile", "known")),
        *((12, "kConditional", "cond"), (13, "kCustomKernel", "update")),
        *((14, "kCopy", "copy.14"), (15, "kCopy", "copy.15")),
    ]
)
ALONE = """000: kCommandBuffer [source | next=2 (1)]
    001: kCustomKernel [source | sink] add_1 grid: [1, 1, 1]
002: kWhile [prev=000 (1) | next=005 (1)]
condition:
    003: kCustomKernel [source | sink] compare
  body:
    000: kCommandBuffer [source | sink]
        004: kCopy [source | sink] kCopy
005: kConvolution [prev=002 (1) | next=006 (1)]
006: kWhile [prev=005 (1) | next=012 (1)]
condition:
    007: kCustomKernel [source | sink] look
  body:
    008: kCustomKernel [source | sink] turn
    009: kWhile [source | sink]
condition:
        003: kCustomKernel [source | sink] compare
      body:
        001: kCustomKernel [source | sink] add_1
    008: kCustomKernel [source | sink] turn
012: kConditional [prev=006 (1) | sink]
  false_branch:
    013: kCustomKernel [source | sink] update
  true_branch:
    014: kCopy [source | sink] kCopy
    015: kCopy [source | sink] kCopy
"""
IN_A_GRAPH = "000: kCommandBuffer [source | sink]\n" + "".join(
    line if line.endswith("condition:\n") else f"    {line}"
    for line in ALONE.splitlines(keepends=True)
    if "kCommandBuffer" not in line
)
TURNS = {"known": Turns(3, known=True), "open": Turns(5, known=False)}


def times(sequence: str) -> dict[str, int]:
    """How often each instruction is launched, or asks the host."""
    found: dict[str, int] = {}
    for launch in launches(read(sequence, NAMES), TURNS.__getitem__):
        name = launch.instruction or launch.kind
        found[name] = found.get(name, 0) + launch.times
    return found


def test_launches_within_loops_count_with_their_turns_and_open_loops_ask_after_each():
    in_the_body = {"turn": 2 * 5, "look": 5 + 1, "open": 5 + 1, "known": 0}
    assert times(ALONE) == {
        **in_the_body,
        "add.1": 1 + 5 * 3,
        "copy.4": 3,
        "kCommandBuffer": 1 + 3,
        "kCustomKernel": 0,  # the condition of a loop whose turns are known is not computed
        "conv": 1,
        "cond": 1,
        "update": 1,  # the way with a kernel, though the other has more copies
    }


def test_in_a_graph_nothing_asks_the_host_and_every_condition_is_computed():
    found = times(IN_A_GRAPH)
    assert (found["open"], found["known"], found["cond"], found["kCommandBuffer"]) == (0, 0, 0, 1)
    assert found["look"] == 5 + 1
    assert found["kCustomKernel"] == (3 + 1) + 5 * (3 + 1)
    assert all(launch.in_graph for launch in launches(read(IN_A_GRAPH, NAMES), TURNS.__getitem__) if launch.instruction)


def test_launches_know_the_innermost_loop_that_they_lie_in():
    found = {(launch.instruction, launch.loop) for launch in launches(read(ALONE, NAMES), TURNS.__getitem__)}
    assert {("add.1", ""), ("add.1", "known"), ("turn", "open"), ("known", "open"), ("conv", "")} <= found


TEXT = """HloModule jit_f

FileNames
1 "/home/me/site-packages/flax/linear.py"
2 "/home/me/lad_jax/assign/mine.py"

FunctionNames
1 "conv"
2 "mine.<locals>.turn"

FileLocations
1 {file_name_id=1 function_name_id=1 line=4 end_line=4 column=1 end_column=2}
2 {file_name_id=2 function_name_id=2 line=7 end_line=7 column=1 end_column=2}

StackFrames
1 {file_location_id=2 parent_frame_id=1}
2 {file_location_id=1 parent_frame_id=2}

%slicing (p0: f32[100,8], p1: s32[]) -> bf16[1,8] {
  %p0 = f32[100,8]{1,0} parameter(0)
  %p1 = s32[] parameter(1)
  %cast.0 = f32[100,8]{1,0} bitcast(%p0)
  %part = f32[1,8]{1,0} dynamic-slice(%cast.0, %p1, %p1), dynamic_slice_sizes={1,8}
  ROOT %half = bf16[1,8]{1,0} convert(%part), metadata={op_name="jit(f)/losses/x" stack_frame_id=2}
}

%updating (q0: f32[100,8], q1: f32[1,8], q2: s32[]) -> (f32[100,8], pred[8]) {
  %q0 = f32[100,8]{1,0} parameter(0)
  %q1 = f32[1,8]{1,0} parameter(1)
  %q2 = s32[] parameter(2)
  %cast.1 = f32[100,8]{1,0} bitcast(%q0)
  %new = f32[100,8]{1,0} dynamic-update-slice(%cast.1, %q1, %q2, %q2)
  %flags = pred[8]{0} compare(%q1, %q1), direction=GT
  ROOT %both = (f32[100,8]{1,0}, pred[8]{0}) tuple(%new, %flags)
}

%scattering (r0: s32[50], r1: s32[6,1], r2: s32[6]) -> s32[50] {
  %r0 = s32[50]{0} parameter(0)
  %r1 = s32[6,1]{1,0} parameter(1)
  %r2 = s32[6]{0} parameter(2)
  ROOT %scatter.1 = s32[50]{0} scatter(%r0, %r1, %r2), to_apply=%min
}

ENTRY %main (x: bf16[2,10,10,64], k: bf16[96,3,3,64], table: f32[100,8]) -> bf16[2,10,10,96] {
  %x = bf16[2,10,10,64]{3,2,1,0} parameter(0)
  %k = bf16[96,3,3,64]{3,2,1,0} parameter(1)
  %table = f32[100,8]{1,0} parameter(2)
  %i = s32[] parameter(3)
  %at = s32[6,1]{1,0} parameter(4)
  %to = s32[6]{0} parameter(5)
  %nobody = s32[50]{0} parameter(6)
  %loop_convert_fusion.7 = bf16[1,8]{1,0} fusion(%table, %i), kind=kLoop, calls=%slicing
  %row = f32[1,8]{1,0} parameter(7)
  %update = (f32[100,8]{1,0}, pred[8]{0}) fusion(%table, %row, %i), kind=kLoop, calls=%updating
  %input_scatter_fusion = s32[50]{0} fusion(%nobody, %at, %to), kind=kInput, calls=%scattering
  %copy.4 = f32[100,8]{1,0} copy(%table), metadata={op_name="jit(f)/optimiser/x"}
  %conv = (bf16[2,10,10,96]{3,2,1,0}, u8[0]{0}) custom-call(%x, %k), window={size=3x3 pad=1_1x1_1}, \
dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convForward", metadata={op_name="jit(f)/student/Detector/neck"}
  %to_input = (bf16[2,10,10,64]{3,2,1,0}, u8[0]{0}) custom-call(%maps, %k), window={size=3x3 pad=1_1x1_1}, \
dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convBackwardInput"
  %maps = bf16[2,10,10,96]{3,2,1,0} get-tuple-element(%conv), index=0
  %to_kernel = (bf16[96,3,3,64]{3,2,1,0}, u8[0]{0}) custom-call(%x, %maps), window={size=3x3 pad=1_1x1_1}, \
dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convBackwardFilter"
  ROOT %loop = bf16[2,10,10,96]{3,2,1,0} while(%maps), condition=%c, body=%b, \
backend_config={"known_trip_count":{"n":"9"},"known_init_step":{"init":"0","step":"1"}}
}
""".replace("\\\n", "")


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("loop_convert_fusion.7", 8 * 4 + 4 + 8 * 2),  # one row of the table, the index, the result
        ("update", (0 + 8 * 4 + 4) + (2 * 8 * 4 + 8)),  # the table is written in place, read and written one row of it
        ("input_scatter_fusion", (0 + 6 * 4 + 6 * 4) + 2 * 6 * 4),
        ("copy.4", 2 * 100 * 8 * 4),
        ("conv", 2 * (2 * 100 * 64 + 96 * 9 * 64 + 2 * 100 * 96)),
    ],
)
def test_bytes_moved(name: str, moved: int):
    assert read_text(TEXT).moved(name) == moved


@pytest.mark.parametrize(
    ("name", "kind", "rows", "columns", "depth"),
    [
        ("conv", "forward", 200, 96, 9 * 64),
        ("to_input", "gradient of the input", 200, 64, 9 * 96),
        ("to_kernel", "gradient of the kernel", 96, 9 * 64, 200),
    ],
)
def test_a_convolution_as_a_product_of_matrices(name: str, kind: str, rows: int, columns: int, depth: int):
    found = convolution(read_text(TEXT), name)
    assert found == Convolution(kind, "b01f_o01i->b01f", "bf16", rows, columns, depth)
    assert found.operations == 2 * rows * columns * depth


def test_what_is_no_convolution():
    assert convolution(read_text(TEXT), "copy.4") is None


def test_operations_of_all_convolutions():
    assert convolution_operations(TEXT) == 2 * 200 * (96 * 9 * 64 + 64 * 9 * 96 + 96 * 9 * 64)


def test_places_are_those_of_the_package_and_turns_those_that_the_compiler_knows():
    text = read_text(TEXT)
    assert text.place("loop_convert_fusion.7") == "assign/mine.py:mine.turn"  # flax's line was called from there
    assert text.place("copy.4") == ""
    assert (text.known_turns("loop"), text.known_turns("copy.4")) == (9, None)


RATE = 800e12 / 132 * 0.6
"""Operations a second of one multiprocessor."""


@pytest.mark.parametrize(
    ("product", "moved", "seconds"),
    [
        (("forward", 128 * 132, 256, 5000), 0, 2 * 2 * 128 * 128 * 5000 / RATE),  # 264 tiles: two waves
        (("forward", 128 * 132 + 1, 128, 5000), 0, 2 * 2 * 128 * 128 * 5000 / RATE),  # one tile more than a wave
        (("gradient of the input", 128, 64, 50000), 0, 2 * 128 * 64 * 50000 / (0.6 * RATE)),  # a narrow tile
        (("forward", 128, 128, 10), 0, 5e-6),
        (("forward", 128, 128, 10), 28_000_000_000, 0.01),
        (("gradient of the kernel", 100, 130, 10**6), 0, 2 * 128 * 256 * 10**6 / (800e12 * 0.6)),  # padded to tiles
        (("gradient of the kernel", 1, 1, 1), 0, 6e-6),
    ],
)
def test_time_of_a_convolution_by_the_model(product, moved: int, seconds: float):
    kind, *sizes = product
    assert convolution_seconds(Convolution(kind, "", "bf16", *sizes), moved) == pytest.approx(seconds)


def test_time_of_another_kernel_by_the_model():
    assert [kernel_seconds(0, True), kernel_seconds(0, False)] == [1.8e-6, 2.2e-6]
    assert kernel_seconds(28_000_000, True) == pytest.approx(1e-5)


def test_the_correction_gives_the_step_that_it_is_made_of():
    """What an H200 took, but for nine scatters that the step no longer has."""
    assert h200_ms(convolution_ms=47.97, ms=62.15, launches=1750) == pytest.approx(59.7 - 5.3, abs=0.1)


def test_figures_of_a_program():
    names = "".join(
        f'thunk_metadata {{ profile_annotation: "{name}" thunk_id: {number} thunk_kind: "{kind}" }}'
        for number, kind, name in [
            *((1, "kWhile", "loop"), (2, "kCustomKernel", "input_scatter_fusion"), (3, "kCopy", "copy.4")),
            *((4, "kConvolution", "conv"), (5, "kCustomKernel", "loop_convert_fusion.7")),
        ]
    )
    sequence = """001: kWhile [source]
condition:
  005: kCustomKernel [source]
  body:
    000: kCommandBuffer [source]
      002: kCustomKernel [source]
      003: kCopy [source]
    006: kCustomKernel [source]
004: kConvolution [source]
005: kCustomKernel [source]
"""
    found = _gpu.figures(TEXT, sequence, names)
    totals = ("launches", "in graphs", "graphs", "asked", "convolutions", "copies", "scatters", "sorts")
    assert [found[name] for name in totals] == [9 * 3 + 2, 9 * 2, 9, 0, 1, 9, 9, 0]
    assert found["GB"] == pytest.approx(1e-9 * (9 * (96 + 6400) + 2 * (12800 + 55296 + 19200) + 52))
    assert found["TFLOP"] == pytest.approx(2 * 200 * 96 * 576 / 1e12)
    conv_ms = 1e3 * 2 * 128 * 128 * 576 / RATE
    assert found["convolution ms"] == pytest.approx(max(conv_ms, 5e-3))
    assert found["ms"] == pytest.approx(found["convolution ms"] + 9 * (2 * 1.8e-3 + 2.2e-3) + 2.2e-3)
    assert {part: of["launches"] for part, of in found["parts"].items()} == {
        "losses": 1,
        "optimiser": 9,
        "student: neck, forward": 1,
        OTHER: 18,
    }
    assert found["loops"] == [
        {"loop": "loop", "place": "", "turns": 9, "known": True, "in a graph": False, "asked": 0},
    ]


@pytest.mark.parametrize("place", _gpu.TURNS)
def test_turns_are_assumed_of_loops_that_exist(place: str):
    file, function = place.split(":")
    source = (Path(lad_jax.__file__).parent / file).read_text()
    assert "jax.lax.while_loop" in source.partition(f"\ndef {function}(")[2].partition("\ndef ")[0]


def test_without_the_wheels_the_error_says_what_to_install(monkeypatch):
    def refuse(*_, **__):
        raise NotImplementedError("topology not implemented for cuda")

    monkeypatch.setattr(jax.experimental.topologies, "get_topology_desc", refuse)
    with pytest.raises(SystemExit, match=re.escape("pip install 'lad-jax[cuda]'")):
        _h100.mesh()


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("jax_cuda12_plugin") is None, reason="no CUDA wheels: pip install 'lad-jax[cuda]'"
)
def test_compiles_for_an_h100_and_prints_its_tables():
    command = [sys.executable, "-m", "benchmarks.aot", "--topology=h100", "--programs=assignment", "--assigners=paa"]
    sizes = ["--height=64", "--width=96", "--pictures=2", "--classes=3", "--objects=8,16"]
    ended = subprocess.run([*command, *sizes], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    rows = re.findall(r"^\| paa, assignment alone, .* \|$", ended.stdout, re.MULTILINE)
    assert len(rows) == 2
    assert all(int(row.split("|")[2]) > 50 for row in rows)
    assert "| mixture.py:_fit | 5 | False |" in ended.stdout


def test_pictures_that_a_card_holds_lie_on_a_line_through_the_compiled_ones() -> None:
    def case(pictures: int, remat: str) -> Case:
        sizes = {"height": 800, "width": 1344, "objects": 96, "classes": 80, "dtype": "bfloat16"}
        return Case("step", "configs/paper.py:paa_r50_1x", "h100", remat, pictures, **sizes)

    line = {8: 5.0, 16: 9.5, 32: 17.0}  # by hand: 0.5 GiB a picture beside 1 GiB, and half a GiB off in the middle
    measured = [(case(n, "none"), {"peak_gib": gib}) for n, gib in line.items()]
    measured += [(case(8, "all"), {"peak_gib": 3.0})]  # one number gives no line
    (row,) = _memory.rows(measured)
    assert row["program"] == "paper_paa_r50_1x, step"
    assert (row["remat"], row["pictures"], row["off"]) == ("none", "8, 16, 32", "5.3 %")
    assert (row["fixed GiB"], row["GiB a picture"]) == (1.0, 0.5)
    # 24 · 0.85 · 10⁹ / 2³⁰ = 18.999 GiB
    assert [row[f"{gb} GB"] for gb in (16, 24, 40, 80)] == [23, 35, 61, 124]
    assert _memory.fitting(1, 1.0, 0.5) == 0
