"""Trained networks as repositories of the Hugging Face hub: written there; `hub` reads them.

A repository has a file of weights, which also says in JSON what they are of, and a card for readers.
"""

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import safetensors.numpy
from flax.traverse_util import flatten_dict
from huggingface_hub import HfApi

from lad_jax.errors import InputError
from lad_jax.fields import is_path, is_source
from lad_jax.files import read_lines, write_whole
from lad_jax.run import checkpoint
from lad_jax.run.hub import CARD, DESCRIPTION, WEIGHTS
from lad_jax.run.meta import as_json
from lad_jax.run.trained import Trained, load
from lad_jax.types import Network

T = TypeVar("T")


def push(workdir: Path, repository: str, network: Network | None = None, *, private: bool = False) -> str:
    """Write a trained network to a repository of the hub, which is made if need be.

    Args:
      workdir: a run's workdir, whose best checkpoint is taken, or a checkpoint's folder.
      repository: OWNER/REPO.
      network: name of the network; default: `evaluation.network` of the run.
      private: whether a new repository is for its owner alone.

    Returns:
      Address of the repository.

    Raises:
      InputError: no such checkpoint or network; or the hub refuses, or cannot be reached.
    """
    folder = checkpoint.find(workdir)
    trained, meta = load(folder, network), checkpoint.read_meta(folder)
    name = network or trained.options.evaluation.network
    # Paths of this machine, and the teacher's digest, mean nothing elsewhere.
    described = dataclasses.replace(meta, config=as_json(without_paths(trained.options)), teacher={}, pretrained={})
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch)
        description = json.dumps({"network": name, **dataclasses.asdict(described)})
        arrays = flatten_dict(trained.variables, sep="/")
        safetensors.numpy.save_file(arrays, files / WEIGHTS, {DESCRIPTION: description})
        write_whole(files / CARD, card(trained, repository, _metrics(folder, name)))
        try:
            api = HfApi()
            address = api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=files, commit_message=f"The {name} of a run of lad_jax")
        except Exception as error:  # the hub's client and what it is built on raise many kinds
            raise InputError(
                f"{repository} could not be written: `hf auth login` says who you are, and OWNER/REPO must be yours. "
                f"Reason: {type(error).__name__}: {str(error)[:300]}"
            ) from None
    return str(address)


def card(trained: Trained, repository: str, metrics: Mapping[str, float | None]) -> str:
    """The page of a repository, with the numbers of the checkpoint's evaluation, if there are any."""
    options, size = trained.options, sum(x.size for x in jax.tree.leaves(trained.variables["params"]))
    overall = {name: f"{100 * value:.1f}" for name, value in metrics.items() if value is not None}
    numbers = ["", "| | % |", "|---|---|", *(f"| {name} | {value} |" for name, value in overall.items())]
    return "\n".join(
        [
            *("---", "library_name: lad_jax", "pipeline_tag: object-detection", "tags: [object-detection, jax]", "---"),
            *("", f"# {repository.partition('/')[2]}", ""),
            f"A detector trained with lad_jax: method `{options.method}`, assigner `{options.assigner.name}`, "
            f"{size / 1e6:.1f} M parameters.",
            "",
            f"Classes: {', '.join(trained.class_names)}.",
            *("", "```python", "import lad_jax", "", f'detector = lad_jax.load("hf://{repository}")', "```"),
            *(["", "On the run's validation pictures:", *numbers] if overall else []),
            "",
        ]
    )


def _metrics(folder: Path, network: Network) -> Mapping[str, float | None]:
    """What the evaluation of a checkpoint has found for a network; empty where there was none."""
    lines, _ = read_lines(folder.parents[1] / "metrics.jsonl")
    found = [line["evaluation"] for line in lines if "evaluation" in line and str(line["step"]) == folder.name]
    return found[-1].get(network, {}) if found else {}


def without_paths(options: T) -> T:
    """Options without what is named by a path, a source of a network or a config file."""

    def plain(field: dataclasses.Field[Any], value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(plain(field, entry) for entry in value)
        if dataclasses.is_dataclass(value):
            return without_paths(value)
        return "" if is_path(field) or is_source(field) or field.name in ("pretrained", "config") else value

    fields = dataclasses.fields(options)  # type: ignore[arg-type]
    return dataclasses.replace(options, **{f.name: plain(f, getattr(options, f.name)) for f in fields})  # type: ignore[type-var]
