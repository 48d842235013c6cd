"""Times of the step under options of XLA's CPU compiler, each in another process, as ratios to the default.

    python -m benchmarks.xla_flags --rounds=3 -- --config=configs/base.py --height=256 --width=256 --batch=2

Arguments after `--` go to `benchmarks.step`. The processes take turns, round by round; the fastest step of each counts.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from absl import app, flags

from benchmarks._measure import print_table, write_json

FLAGS = flags.FLAGS
flags.DEFINE_integer("rounds", 3, "Processes for each row.")
flags.DEFINE_list("only", [], "Names of rows; empty: all.")
flags.DEFINE_string("json", "", "File to write the figures to.")

WITHOUT_YNNPACK = "--xla_cpu_experimental_ynn_fusion_type="
OPTIONS = {
    "default": "",
    "Eigen's convolutions": WITHOUT_YNNPACK,
    "oneDNN's convolutions": f"{WITHOUT_YNNPACK} --xla_cpu_experimental_onednn_custom_call=true",
    "XNNPACK": f"{WITHOUT_YNNPACK} --xla_cpu_use_xnnpack=true",
    "no fusion emitters": "--xla_cpu_use_fusion_emitters=false",
    "one thread an instruction": "--xla_cpu_multi_thread_eigen=false",
    "vectors of 512 bits": "--xla_cpu_prefer_vector_width=512",
    "schedule for concurrency": "--xla_cpu_enable_concurrency_optimized_scheduler=true",
    "copies by region analysis": "--xla_cpu_copy_insertion_use_region_analysis=true",
    "fast math": "--xla_cpu_enable_fast_math=true",
}
"""Flags by name. Fast math is here to see what its absence costs: it may change results, and is off."""


def seconds_of(options: str, arguments: list[str]) -> tuple[list[float], float] | None:
    """Seconds of a process's runs, and of compiling; None where XLA does not know the option or fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "step.json"
        command = [sys.executable, "-m", "benchmarks.step", *arguments, "--profiled=0", "--beside=", f"--json={file}"]
        flags_now = f"{os.environ.get('XLA_FLAGS', '')} {options}".strip()
        ended = subprocess.run(command, env={**os.environ, "XLA_FLAGS": flags_now}, capture_output=True, text=True)
        if ended.returncode:
            print(f"{options}: {ended.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        found = json.loads(file.read_text())
        return found["seconds"]["step"], found["figures"]["compile [s]"]


def main(arguments: list[str]) -> None:
    names = FLAGS.only or list(OPTIONS)
    seen: dict[str, list[Any]] = {name: [] for name in names}
    for _ in range(FLAGS.rounds):
        for name in names:
            found = seconds_of(OPTIONS[name], arguments[1:])
            seen[name].append(found)
            # Rounds take minutes: what is measured is seen even where the benchmark is cut off.
            print(f"{name}: {f'{1e3 * min(found[0]):.0f} ms' if found else 'failed'}", file=sys.stderr, flush=True)
    least = {
        name: None if None in found else (min(min(runs) for runs, _ in found), min(compiling for _, compiling in found))
        for name, found in seen.items()
    }
    default = least.get("default")
    rows = [
        {
            "option": name,
            "flags": f"`{OPTIONS[name]}`" if OPTIONS[name] else None,
            "least ms": 1e3 * found[0] if found else None,
            "time / default": found[0] / default[0] if found and default else None,
            "compile s": found[1] if found else None,
        }
        for name, found in least.items()
    ]
    print_table(rows)
    write_json(FLAGS.json, rows)


if __name__ == "__main__":
    app.run(main)
