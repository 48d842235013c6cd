"""What the program says of errors, and what it sees to before JAX looks for devices."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from absl.flags import FlagValues, UnrecognizedFlagError

from lad_jax.__main__ import COMMANDS
from lad_jax.cli import define_config, flag_message, message_of
from lad_jax.errors import InputError
from lad_jax.options import TrainOptions

ROOT = Path(__file__).parents[1]


def test_too_little_memory_is_explained() -> None:
    with pytest.raises(Exception, match="RESOURCE_EXHAUSTED") as caught:
        jax.block_until_ready(jax.jit(lambda: jnp.zeros(1 << 46, jnp.int8))())
    assert "raise config.train.accumulate" in message_of(caught.value)


def test_a_full_disk_is_explained() -> None:
    with pytest.raises(OSError) as caught, open("/dev/full", "w") as file:
        file.write("the log")
    assert message_of(caught.value).startswith("nothing more can be written to the disk: [Errno 28]")
    tensorstores = ValueError(
        f"RESOURCE_EXHAUSTED: {'Error writing ' * 50}: No space left on device [os_error_code='28']"
    )
    assert message_of(tensorstores).startswith("nothing more can be written to the disk")


def test_a_key_of_a_config_that_is_not_given() -> None:
    words, values = ["train", "--config.method=lad"], FlagValues()
    define_config(values, words)
    with pytest.raises(UnrecognizedFlagError) as caught:
        values(words)
    assert flag_message(caught.value) == "--config.method changes a config, but none is given: add --config=FILE."


def test_a_bug_stays_one() -> None:
    assert message_of(InputError("the file is missing")) == "the file is missing"
    assert message_of(ValueError("a bug")) is None


@pytest.mark.parametrize(
    ("source", "flags", "message"),
    [
        (None, [], r"--config: there is no file .*/config\.py, and no config '.*' in the package\. .*"),
        (None, ["--config.method=lad"], r"--config: there is no file .*"),
        ("import absent_library", [], r"cannot be imported\. ModuleNotFoundError: .*config\.py, line 1\)"),
        ("def get_config(:", [], r"cannot be imported\. SyntaxError: .*config\.py, line 1\)"),
        ("def get_config():\n    raise ValueError('variant 1; allowed: 2')", [], r"variant 1; allowed: 2"),
        (
            "from configs.base import get_config",
            ["--config.assigner.options.near=4"],
            r"""unknown config key .*options\.near\. .*: --config\.assigner\.options='\{"near": 40\}'""",
        ),
    ],
)
def test_a_config_that_cannot_be_loaded_is_one_line(source, flags, message, tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    if source is not None:
        config.write_text(source)
    command = [sys.executable, "-m", "lad_jax", "train", f"--config={config}", f"--workdir={tmp_path}", *flags]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2 and re.fullmatch(rf"error: .*{message}\n", result.stderr), result.stderr


WORDS = """
import importlib, os, sys, traceback
from lad_jax import __main__ as program

run = ["--config=configs/base.py", "--workdir=unused"]
flags = {"train": run, "eval": run, "plan": run, "check": run[:1]}
for name, takes in program.COMMANDS.items():
    importlib.import_module(f"lad_jax.commands.{name.replace('-', '_')}")
    for words in ([] if takes.words is None else [["w"] * takes.words + ["mode=eval", "b.png"]]):
        if os.fork() == 0:
            after = ["--", "--config.train.epochs=3"] if takes.more else []
            program.main([name, words[0], *flags.get(name, []), *words[1:], *after])
        _, status = os.wait()
        print(name, os.waitstatus_to_exitcode(status), flush=True)
"""


def test_words_without_a_meaning_are_refused_by_every_command() -> None:
    """Before anything runs: no folder is made, nothing but the message is printed."""
    result = subprocess.run([sys.executable, "-c", WORDS], cwd=ROOT, capture_output=True, text=True)
    names = [name for name, takes in COMMANDS.items() if takes.words is not None]
    assert result.stdout.split() == [part for name in names for part in (name, "2")], result.stderr
    message = "error: nothing is meant by 'mode=eval b.png': there are only flags here, --NAME=VALUE. Did you mean "
    assert result.stderr.splitlines() == [f"{message}--mode=eval?"] * len(names)


def test_main_takes_words_for_predictions_alone() -> None:
    command = [sys.executable, "main.py", "--workdir=unused"]
    for flags, message in (
        (["--config=configs/base.py", "--images", "a.png", "b.png"], "nothing is meant by 'b.png'"),
        (["--mode=export"], "--output must be given: the new file."),
        (["--mode=predict", "--images", "docs/sample.png", "absent.png"], "no picture found at 'absent.png'"),
    ):
        result = subprocess.run([*command, *flags], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 2 and result.stderr.startswith(f"error: {message}"), result.stderr


def test_help_of_the_console_script() -> None:
    """`lad-jax` is no module that Python runs, so absl does not know whose flags it shows."""
    for words, shown in (
        (["predict", "--help"], "--threshold: predict: least score"),
        (["--help"], "lad-jax COMMAND"),
        (["trian"], "error: there is no command 'trian'. Did you mean 'train'?"),
    ):
        program = f"import sys; sys.argv = ['/bin/lad-jax', *{words}]; from lad_jax.__main__ import console; console()"
        result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
        assert shown in (result.stdout if "--help" in words else result.stderr)


def test_help_of_the_main_program_lists_its_flags() -> None:
    result = subprocess.run([sys.executable, "main.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    listed = set(re.findall(r"^  --(\w+):", result.stdout, re.MULTILINE))
    expected = {"mode", "config", "workdir", "images", "output", "threshold", "canvas", "network", "max_detections"}
    assert listed == expected


ENDING = """
import os, signal, sys
from lad_jax import cli

def main(arguments):
    print("Fußgänger")
    try:
        if arguments[1:]:
            signal.raise_signal(signal.Signals[arguments[1]])
    finally:
        os.write(2, b"written")

cli.start(main, cli.Takes(words=None))
"""


@pytest.mark.parametrize(
    ("arguments", "output", "code", "said"),
    [
        ("SIGINT", "/dev/null", 130, "written"),
        ("SIGTERM", "/dev/null", 75, "written"),
        ("", "/dev/full", 2, "writtenerror: what was printed is incomplete: [Errno 28] No space left on device. "),
        ("", "&-", 0, "written"),
    ],
)
def test_how_a_program_ends(arguments: str, output: str, code: int, said: str) -> None:
    """By a signal or at its end, what was done is written first, without a traceback; printing ends nothing."""
    command = f"'{sys.executable}' -c '{ENDING}' {arguments} >{output}"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    result = subprocess.run(
        command, shell=True, cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True
    )
    assert result.returncode == code and result.stderr.startswith(said) and "Traceback" not in result.stderr


PROGRAM = """
import os, runpy
import jax
from jax._src.xla_bridge import backends_are_initialized
from lad_jax.run import start

def train(options, workdir):
    assert not backends_are_initialized()
    print(os.environ["XLA_FLAGS"], jax.devices()[0].platform)  # XLA ends the program at a flag that it does not know

start.MODES["train"] = train
runpy.run_path("main.py", run_name="__main__")
"""


def test_determinism_is_asked_for_before_there_are_devices() -> None:
    assert not TrainOptions().deterministic
    flags = ["--config=configs/base.py", "--workdir=unused", "--config.train.deterministic=True"]
    result = subprocess.run([sys.executable, "-c", PROGRAM, *flags], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == f"{os.environ['XLA_FLAGS']} --xla_gpu_deterministic_ops=true cpu\n", result.stderr
    assert result.stderr == ""
