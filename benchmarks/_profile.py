"""Time of a compiled program by the scopes that it was traced in, from a profile's events.

The profiler names an event after an instruction of the compiled program; the program's text says in which
`jax.named_scope` or flax module an instruction was traced.
"""

import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.profiler import ProfileData

_CONTAINERS = ("while", "conditional", "call")
"""Instructions that run others, which have events too."""


class Event(NamedTuple):
    """An instruction at work."""

    start: float
    end: float
    """Time at which it ends [ns]."""
    instruction: str


class Profile(NamedTuple):
    """Times of a program [seconds of a run]."""

    wall: float
    by_scope: dict[str, float]
    """Time by scope path (`jit(step)/jvp(student)/Detector/backbone/…`), empty for instructions without one. Where
    several run at once the time is divided among them, so the values and `idle` add up to `wall`."""
    idle: float
    """Time in which no instruction runs."""


def profile(program: Any, run: Callable[[], Any], runs: int, keep: Path | None = None) -> Profile:
    """Profile `runs` runs of a compiled program.

    Args:
      program: a program compiled by jax; its text says in which scopes instructions were traced.
      run: function that runs it, and waits until it has ended.
      runs: number of runs.
      keep: folder for the events (`profile.xplane.pb`) and the program (`program.txt`), by which single kernels can be
        looked at elsewhere.
    """
    wall = 0.0
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(runs):
                since = time.perf_counter()
                run()
                wall += time.perf_counter() - since
        [file] = Path(folder).rglob("*.xplane.pb")
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, keep / "profile.xplane.pb")
            (keep / "program.txt").write_text(program.as_text())
        events = _events(ProfileData.from_file(str(file)))
    instructions = parse(program.as_text())
    busy: Counter[str] = Counter()
    for name, seconds in shares([e for e in events if _is_work(e, instructions)]).items():
        busy[instructions[name].scope] += seconds / runs
    return Profile(wall / runs, dict(busy), wall / runs - sum(busy.values()))


def _events(data: ProfileData) -> list[Event]:
    """Events that name an instruction: those of the device if it has a plane, else those of the host's threads."""
    planes = list(data.planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:")]
    events, ends = [], {}
    for plane in devices or planes:
        for line in plane.lines:
            for event in line.events:
                stats = dict(event.stats)
                if "hlo_op" in stats:
                    found = Event(event.start_ns, event.start_ns + event.duration_ns, str(stats["hlo_op"]))
                    events.append((found, stats.get("_p")))
                elif event.name.startswith("end: "):
                    ends[stats.get("_c")] = event.start_ns
    # On a CPU an instruction may go on in other threads: an event with the first one's id says when it has ended.
    return [event._replace(end=max(event.end, ends.get(number, 0.0))) for event, number in events]


def _is_work(event: Event, instructions: "dict[str, Instruction]") -> bool:
    return event.instruction in instructions and instructions[event.instruction].opcode not in _CONTAINERS


def shares(events: list[Event]) -> dict[str, float]:
    """Seconds of each instruction; moments at which several run are divided among them."""
    borders = sorted(
        [(event.start, 1, event.instruction) for event in events]
        + [(event.end, -1, event.instruction) for event in events]
    )
    seconds: Counter[str] = Counter()
    running: Counter[str] = Counter()
    before = 0.0
    for moment, change, instruction in borders:
        at_once = running.total()
        for name, count in running.items():
            seconds[name] += (moment - before) * count / at_once / 1e9
        before = moment
        running[instruction] += change
        if not running[instruction]:
            del running[instruction]
    return dict(seconds)


class Instruction(NamedTuple):
    """An instruction of a compiled program."""

    opcode: str
    scope: str
    """Path of the scopes that the instruction was traced in."""


_LINE = re.compile(r"^\s*(ROOT )?%?([\w.\-]+) = .*? ([a-z][a-z0-9\-]*)\((.*)$")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")


def parse(text: str) -> dict[str, Instruction]:
    """Instructions of a compiled program, by name.

    One that the compiler made has no scope. A fusion then gets that of its last instruction with one. Any other, like
    a convolution's gradient that is a fusion of nothing with a name, gets that of its first user with one, or else of
    its first operand. Copies always get their operand's: those of weights and state keep what is about to be
    overwritten, and are no user's work.
    """
    opcodes: dict[str, str] = {}
    scopes: dict[str, str] = {}
    operands: dict[str, list[str]] = {}
    users: dict[str, list[str]] = {}
    called: dict[str, str] = {}
    inside: dict[str, list[str]] = {}
    computation = ""
    for line in text.splitlines():
        if header := _COMPUTATION.match(line):
            computation = header[1]
        elif match := _LINE.match(line):
            _, name, opcodes[name], rest = match.groups()
            scope = re.search(r'op_name="(jit\([^"]*)"', rest)
            scopes[name] = scope[1] if scope else ""
            operands[name] = [n for n in re.findall(r"%([\w.\-]+)", rest.split("metadata=")[0]) if n in opcodes]
            for operand in operands[name]:
                users.setdefault(operand, []).append(name)
            if fused := re.search(r"calls=%?([\w.\-]+)", rest):
                called[name] = fused[1]
            inside.setdefault(computation, []).append(name)

    def named(name: str) -> str:
        """Scope of an instruction; for a fusion without one that of its last instruction with one."""
        held = reversed(inside.get(called.get(name, ""), []))
        return scopes[name] or next(filter(None, (scopes[n] for n in held)), "")

    def along(name: str, neighbours: dict[str, list[str]], seen: dict[str, str]) -> str:
        if name not in seen:
            others = neighbours.get(name, [])
            seen[name] = named(name) or next(filter(None, (along(n, neighbours, seen) for n in others)), "")
        return seen[name]

    made_for: dict[str, str] = {}
    made_of: dict[str, str] = {}

    def scope_of(name: str) -> str:
        of_what_it_is_for = "" if opcodes[name].startswith("copy") else along(name, users, made_for)
        return of_what_it_is_for or along(name, operands, made_of)

    return {name: Instruction(opcode, scope_of(name)) for name, opcode in opcodes.items()}
