"""Trained networks in repositories of the Hugging Face hub, which `push` has written. Nothing there is executed."""

import json
from pathlib import Path

import jax
import safetensors.numpy
from flax.traverse_util import unflatten_dict
from huggingface_hub.utils import WeakFileLock
from safetensors import SafetensorError

from lad_jax.errors import InputError
from lad_jax.paths import cache_folder, make_folder
from lad_jax.run import saving
from lad_jax.run.meta import Meta
from lad_jax.weights.pretrained import resolve

WEIGHTS, CARD = "model.safetensors", "README.md"
"""Files of a repository."""
DESCRIPTION = "lad_jax"
"""Entry of the weights' metadata that says what they are of."""


def fetch(source: str, key: str) -> Path:
    """Folder of a checkpoint with the network of a repository, which is fetched into the cache if need be.

    Args:
      source: `hf://OWNER/REPO[@REVISION]`.
      key: config key or flag that gives it, for messages.

    Raises:
      InputError: no such repository, or none that `push` has written; or no way to get it. One of several processes
        does not fill the cache: they would wait for each other.
    """
    file = resolve(source, key)
    workdir = cache_folder("hub") / file.sha256
    if jax.process_count() > 1 and not (workdir / "checkpoints" / "0").is_dir():
        raise InputError(
            f"{source} is not in the cache of this host, and one of several processes does not fill it. First run "
            f"`python -c \"import lad_jax; lad_jax.load('{source}')\"`, on each host that has a home folder of its own."
        )
    make_folder(workdir.parent, "the cache of the hub's networks")
    with WeakFileLock(workdir.with_name(f"{workdir.name}.lock")):
        if not (workdir / "checkpoints" / "0").is_dir():
            _convert(file.path, source, workdir, key)
    return workdir / "checkpoints" / "0"


def _convert(file: Path, source: str, workdir: Path, key: str) -> None:
    """Write a file's network as a checkpoint."""
    try:
        with safetensors.safe_open(file, "numpy") as content:
            values = json.loads(content.metadata()[DESCRIPTION])
        network = values.pop("network")
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{source}: its {WEIGHTS} is no detector that lad_jax has written. Check {key}.") from None
    meta = Meta.from_json(values, Path(source))
    variables = unflatten_dict(safetensors.numpy.load_file(file), sep="/")
    saving.save_weights(workdir, {network: variables}, meta)
