"""What a run notes of the machine and the versions that it is computed by."""

import importlib.metadata

import pytest

import lad_jax
from lad_jax.run import environment


def test_the_package_need_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a clone where requirements.txt alone is."""

    def version(name: str) -> str:
        if name.replace("_", "-") == "lad-jax":
            raise importlib.metadata.PackageNotFoundError(name)
        return importlib.metadata.version(name)

    monkeypatch.setattr(environment, "version", version)
    found = environment.versions.__wrapped__()
    assert found["lad-jax"] == lad_jax.__version__ and found["numpy"] == importlib.metadata.version("numpy")
