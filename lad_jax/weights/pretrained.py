"""Files of weights by name: fetched where they are not here yet, their content checked."""

import logging
import re
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import (
    HfUri,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    parse_hf_uri,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    HfUriError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lad_jax.errors import InputError
from lad_jax.paths import SCHEME, ZOO_PREFIX, local_path
from lad_jax.weights import zoo
from lad_jax.weights.checksums import promised_by, sha256_of
from lad_jax.weights.files import check_readable

_log = logging.getLogger(__name__)
_DEFAULT_FILE = "model.safetensors"
_BLOB = re.compile(r"[0-9a-f]{64}")
"""Name of a large file's content in the hub's cache: its SHA-256."""


class WeightsFile(NamedTuple):
    """A file of weights on this machine."""

    path: Path
    sha256: str


def resolve(source: str, key: str) -> WeightsFile:
    """The file that `source` means, whose content is what its name promises.

    Args:
      source: a path; `hf://OWNER/REPO[@REVISION][/FILE]`, a file of the Hugging Face hub (FILE: `model.safetensors`,
        REVISION: the branch `main`); or `zoo:NAME`, that of a published detector. The latter two are fetched into a
        cache; what lies there is taken unasked.
      key: config key of the source, for messages.

    Raises:
      InputError: no such file here or there, no way to get it, a name of another form, or a content with another
        checksum than its name has.
    """
    path = _local_file(source, key)
    if not path.is_file():
        raise InputError(f"weights not found: {path}. Check {key}.")
    sha256 = sha256_of(path)
    promised = _promised(path)
    if not sha256.startswith(promised):
        raise InputError(
            f"{source} is damaged, or not the file that it is called: its SHA-256 is {sha256}, but by its name "
            f"{promised}. Delete {path.resolve()} and fetch it again; or rename it, if its name means no checksum."
        )
    _log.info("weights %s, SHA-256 %s", path, sha256)
    return WeightsFile(path, sha256)


def _local_file(source: str, key: str) -> Path:
    """Path of the file that `source` means, which is fetched if need be."""
    if source.startswith(ZOO_PREFIX):
        return zoo.fetch(source, key)
    return _fetch(source, key) if SCHEME.match(source) else Path(local_path(source, key))


def _fetch(source: str, key: str) -> Path:
    """Path of a file of the hub in the hub's cache, into which it is fetched if need be."""
    name = _parse(source, key)
    file = name.path_in_repo or _DEFAULT_FILE
    check_readable(file)  # what could not be read is not fetched
    cached = try_to_load_from_cache(name.id, file, revision=name.revision)
    if isinstance(cached, str):
        return Path(cached)
    url = hf_hub_url(name.id, file, revision=name.revision)
    try:
        get_hf_file_metadata(url)  # asks once, where a download without a network is tried again and again
        _log.info("fetching %s", url)
        return Path(hf_hub_download(name.id, file, revision=name.revision))
    except RepositoryNotFoundError:
        what = f"repository {name.id}, or none that you may read (`hf auth login` says who you are)"
    except RevisionNotFoundError:
        what = f"revision {name.revision} of {name.id}"
    except RemoteEntryNotFoundError:
        what = f"file {file} in {name.id} at revision {name.revision or 'main'}"
    except Exception as error:  # the hub's client and what it is built on raise many kinds
        place = f"weights/{name.id.partition('/')[2]}{Path(file).suffix}"
        raise InputError(
            f"{source} is not in the cache and could not be fetched. Without a network: on a machine with one fetch "
            f"{url} and save it here as {place}; then set {key} to {place}. Reason: {type(error).__name__}: "
            f"{str(error)[:300]}"
        ) from None
    raise InputError(f"{source}: the hub has no {what}. Check {key}.")


def _parse(source: str, key: str) -> HfUri:
    """Repository, revision and file of a name.

    Raises:
      InputError: the name has another form than `hf://OWNER/REPO[@REVISION][/FILE]`.
    """
    try:
        if not source.startswith("hf://"):  # the parser would take web addresses too
            raise HfUriError(source, "It does not begin with hf://.")
        name = parse_hf_uri(source)
        if name.type != "model":
            raise HfUriError(source, f"It is of a {name.type}, not of a model.")
        if ".." in name.path_in_repo:
            raise HfUriError(source, "A file of the hub has no '..' in its name.")
    except HfUriError as error:
        raise InputError(
            f"{key} is {source!r}, which names no weights: {error.msg.strip()} Give the path of a file, or a file of "
            "the Hugging Face hub as hf://OWNER/REPO[@REVISION][/FILE], for example hf://timm/resnet50.tv_in1k; "
            "docs/checkpoints.md lists those of the usual backbones."
        ) from None
    return name


def _promised(path: Path) -> str:
    """First digits of a file's SHA-256 by its name; empty where the name has none."""
    if path.is_symlink():  # one step only: the hub may keep a blob elsewhere, by the name of another checksum
        target = path.readlink()
        if target.parent.name == "blobs" and _BLOB.fullmatch(target.name):
            return target.name
    return promised_by(path.name)
