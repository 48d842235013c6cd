"""Time of a compiled program by the scopes that it was traced in, from a profile's events.

The profiler names an event after an instruction of the compiled program; the program's text says in which
`jax.named_scope` or flax module an instruction was traced.
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.profiler import ProfileData

from benchmarks._scopes import scopes_of
from benchmarks._text import Text, read_text

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
    """Time by scope (`scopes_of`), empty for instructions without one. Where several run at once the time is divided
    among them, so the values and `idle` add up to `wall`."""
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
    text = read_text(program.as_text())
    scopes = scopes_of(text)
    busy: Counter[str] = Counter()
    for name, seconds in shares([event for event in events if _is_work(event, text)]).items():
        busy[scopes[name]] += seconds / runs
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


def _is_work(event: Event, text: Text) -> bool:
    named = text.instructions.get(event.instruction)
    return named is not None and named.opcode not in _CONTAINERS


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
