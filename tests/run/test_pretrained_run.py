"""What a run says of the weights it began from."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from lad_jax.data import open_dataset
from lad_jax.models import Detector
from lad_jax.run import checkpoint
from lad_jax.run.logging import RunLog
from lad_jax.run.train import train
from lad_jax.train.state import init_variables
from lad_jax.weights import save_arrays
from lad_jax.weights.names import to_torch_layout, torch_name
from tests.run.tiny import tiny


def backbone_file(path: Path) -> str:
    """Weights of the tiny run's backbone from another seed; returns their SHA-256."""
    classes = open_dataset(tiny().data, "train").class_names
    variables = init_variables(Detector(tiny().model, len(classes)), 7)
    backbone = flatten_dict(variables["params"]["backbone"]) | flatten_dict(variables["batch_stats"]["backbone"])
    leaves = {torch_name(name): to_torch_layout(np.asarray(x), name) for name, x in backbone.items()}
    save_arrays(path, {name: leaf.copy(order="C") for name, leaf in leaves.items()}, ())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_checkpoint_tells_the_weights_it_began_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those after a restart, which does not look for the file any more."""
    file = tmp_path / "w.safetensors"
    told = {"student": {"source": str(file), "sha256": backbone_file(file)}}
    options = tiny(model__backbone__pretrained=str(file), train__epochs=1)

    def interrupt(_: RunLog) -> None:
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt

    steps: list[int] = []
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunLog, "step", interrupt)
        train(options, tmp_path / "run")
    killed = checkpoint.find(tmp_path / "run")
    assert killed.name == "2" and checkpoint.read_meta(killed).pretrained == told
    file.unlink()
    train(options, tmp_path / "run")
    finished = checkpoint.find(tmp_path / "run")
    assert finished.name == "3" and checkpoint.read_meta(finished).pretrained == told
