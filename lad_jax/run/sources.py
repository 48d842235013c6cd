"""Sources of trained networks: a workdir, a checkpoint's folder, `zoo:NAME`, or `hf://OWNER/REPO`."""

import os
import shutil
import tempfile
from pathlib import Path

import jax
from huggingface_hub.utils import WeakFileLock

from lad_jax.data.categories import COCO
from lad_jax.errors import InputError
from lad_jax.paths import HUB_PREFIX, ZOO_PREFIX, cache_folder, is_published, make_folder, source_path
from lad_jax.run import checkpoint, hub
from lad_jax.run.configs import load_options
from lad_jax.run.converted import save_converted
from lad_jax.weights import zoo


def local_checkpoint(source: str | Path, key: str) -> Path:
    """Folder of the checkpoint that a source means, on this machine.

    Args:
      source: a workdir (its best checkpoint by AP is taken, else the newest); a checkpoint's folder; `zoo:NAME`, a
        published network; or `hf://OWNER/REPO[@REVISION]`, what `push` has written to the Hugging Face hub. These two
        are fetched, converted and kept in a cache when they are first asked for.
      key: config key or flag that gave it, for messages.

    Raises:
      InputError: there is no checkpoint there; or no such network, or one that cannot be fetched or read.
    """
    place = source_path(str(source), key)
    if place.startswith(ZOO_PREFIX):
        return _from_zoo(place, key)
    return hub.fetch(place, key) if place.startswith(HUB_PREFIX) else checkpoint.find(place)


def check_source(source: str, key: str) -> None:
    """Check that a source is there, or is a name that is known or may be; fetch nothing. See `local_checkpoint`.

    Raises:
      InputError: there is no checkpoint, or no network of that name.
    """
    if source.startswith(ZOO_PREFIX):
        zoo.find(source, key)
    elif not is_published(source):
        checkpoint.find(source)


def cached(name: str) -> Path | None:
    """Folder of the checkpoint of a published network in the cache; None: there is none that this version reads."""
    folder = cache_folder("zoo") / name / "checkpoints" / "0"
    if not folder.is_dir():
        return None
    try:
        checkpoint.read_meta(folder)
    except InputError:
        return None
    return folder


def _from_zoo(source: str, key: str) -> Path:
    published, name = zoo.find(source, key), source.removeprefix(ZOO_PREFIX)
    if folder := cached(name):
        return folder
    if jax.process_count() > 1:
        raise InputError(
            f"{source} is not in the cache of this host, and one of several processes does not fetch. First run "
            f"`python -m lad_jax zoo {name}`, on each host that has a home folder of its own."
        )
    workdir = cache_folder("zoo") / name
    make_folder(workdir.parent, "the zoo's cache")
    with WeakFileLock(workdir.with_name(f"{name}.lock")):
        return cached(name) or _convert(source, published.config, workdir)


def _convert(source: str, config: str, workdir: Path) -> Path:
    """Convert a published network, and put it whole into the cache; returns the checkpoint's folder."""
    options = load_options(config, [])
    with tempfile.TemporaryDirectory(dir=workdir.parent) as folder:
        unfinished = Path(folder) / workdir.name
        saved = save_converted(source, options, unfinished, tuple(COCO), tuple(COCO.values()))
        shutil.rmtree(workdir, ignore_errors=True)  # of another version
        os.replace(unfinished, workdir)
        return workdir / saved.relative_to(unfinished)
