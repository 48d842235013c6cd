from pathlib import Path

import pytest

from lad_jax.run.train import train
from tests.run.tiny import tiny


@pytest.fixture(scope="session")
def paa_workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of a finished PAA run of 6 steps; not to be written to."""
    workdir = tmp_path_factory.mktemp("paa")
    train(tiny(), workdir)
    return workdir
