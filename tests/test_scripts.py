"""Scripts that start runs elsewhere: the words of the command arrive as they were given."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
WORDS = ["configs/my run.py", "/runs/it's $HOME", '--config.a="b c"', "--config.d=(1, 2)", "--config.e=*", "", "f\\g;h"]
PRINT = '#!/bin/bash\nprintf "%s\\0" "$@"\n'


def stub(file: Path) -> None:
    """A program that prints its arguments."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PRINT)
    file.chmod(0o755)


def arguments(*command: str, **environ: str) -> list[str]:
    """What the stub that a command ends in is given."""
    output = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=True).stdout
    return output.split("\0")[:-1]


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda file: file.name)
def test_syntax(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)


def test_slurm(tmp_path: Path) -> None:
    stub(tmp_path / "srun")
    given = arguments("bash", str(SCRIPTS / "slurm.sh"), *WORDS, PATH=f"{tmp_path}:{os.environ['PATH']}")
    config, workdir, *flags = WORDS
    started = ["python", "main.py", f"--config={config}", f"--workdir={workdir}", "--config.data.workers=5", *flags]
    assert given[given.index("python") :] == started


def test_tpu_pod(tmp_path: Path) -> None:
    """As the shell of a host reads them."""
    stub(tmp_path / "gcloud")
    stub(tmp_path / "lad_jax" / ".venv" / "bin" / "python")
    path = f"{tmp_path}:{os.environ['PATH']}"
    sent = arguments("bash", str(SCRIPTS / "tpu_pod.sh"), *WORDS, PATH=path, TPU="my slice", ZONE="z")
    assert sent[:-1] == ["compute", "tpus", "tpu-vm", "ssh", "my slice", "--zone=z", "--worker=all"]
    given = arguments("bash", "-c", sent[-1].removeprefix("--command="), HOME=str(tmp_path))
    config, workdir, *flags = WORDS
    assert given[:3] == ["main.py", f"--config={config}", f"--workdir={workdir}"]
    assert given[-len(flags) :] == flags
