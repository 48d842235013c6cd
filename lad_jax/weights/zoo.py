"""Trained detectors that mmdetection has published, by name: `zoo:lad_r50_r101_1x` (docs/zoo.md)."""

import difflib
import logging
from pathlib import Path
from typing import NamedTuple

from lad_jax.errors import InputError
from lad_jax.paths import ZOO_PREFIX, cache_folder, make_folder
from lad_jax.weights.checksums import promised_by
from lad_jax.weights.download import download
from lad_jax.weights.files import check_readable

_log = logging.getLogger(__name__)
_MMDET = "https://download.openmmlab.com/mmdetection/v2.0"


class Published(NamedTuple):
    """A published detector."""

    config: str
    """Config whose network, pictures' sizes and choice of detections are the published ones."""
    ap: float
    """Published AP on COCO's val2017, in percent."""
    url: str
    """Address of its file, whose name ends with the first digits of its SHA-256."""

    @property
    def file(self) -> str:
        """Name of its file."""
        return self.url.rsplit("/", 1)[1]


ZOO = {
    "paa_r50_1x": Published(
        "paper:paa_r50_1x", 40.4, f"{_MMDET}/paa/paa_r50_fpn_1x_coco/paa_r50_fpn_1x_coco_20200821-936edec3.pth"
    ),
    "paa_r50_1.5x": Published(  # the network of both other schedules
        "paper:paa_r50_1x", 41.4, f"{_MMDET}/paa/paa_r50_fpn_1.5x_coco/paa_r50_fpn_1.5x_coco_20200823-805d6078.pth"
    ),
    "paa_r50_2x": Published(
        "paper:paa_r50_2x", 41.6, f"{_MMDET}/paa/paa_r50_fpn_2x_coco/paa_r50_fpn_2x_coco_20200821-c98bfc4e.pth"
    ),
    "paa_r50_ms_3x": Published(
        "paper:paa_r50_ms_3x",
        43.3,
        f"{_MMDET}/paa/paa_r50_fpn_mstrain_3x_coco/paa_r50_fpn_mstrain_3x_coco_20210121_145722-06a6880b.pth",
    ),
    "paa_r101_1x": Published(
        "paper:paa_r101_1x", 42.6, f"{_MMDET}/paa/paa_r101_fpn_1x_coco/paa_r101_fpn_1x_coco_20200821-0a1825a4.pth"
    ),
    "paa_r101_2x": Published(
        "paper:paa_r101_2x", 43.5, f"{_MMDET}/paa/paa_r101_fpn_2x_coco/paa_r101_fpn_2x_coco_20200821-6829f96b.pth"
    ),
    "paa_r101_ms_3x": Published(  # the network of the other schedule
        "paper:paa_r101_ms_2x",
        45.1,
        f"{_MMDET}/paa/paa_r101_fpn_mstrain_3x_coco/paa_r101_fpn_mstrain_3x_coco_20210122_084202-83250d22.pth",
    ),
    "lad_r101_r50_1x": Published(
        "paper:lad_r101_r50_1x",
        43.2,
        f"{_MMDET}/lad/lad_r101_paa_r50_fpn_coco_1x/lad_r101_paa_r50_fpn_coco_1x_20220708_124357-9407ac54.pth",
    ),
    "lad_r50_r101_1x": Published(
        "paper:lad_r50_r101_1x",
        41.4,
        f"{_MMDET}/lad/lad_r50_paa_r101_fpn_coco_1x/lad_r50_paa_r101_fpn_coco_1x_20220708_124246-74c76ff0.pth",
    ),
    "atss_r50_1x": Published(
        "assigners:atss_r50_1x", 39.4, f"{_MMDET}/atss/atss_r50_fpn_1x_coco/atss_r50_fpn_1x_coco_20200209-985f7bd0.pth"
    ),
    "atss_r101_1x": Published(
        "assigners:atss_r101_1x", 41.5, f"{_MMDET}/atss/atss_r101_fpn_1x_coco/atss_r101_fpn_1x_20200825-dfcadd6f.pth"
    ),
}
"""Published detectors by name. All know COCO's 80 classes."""


def find(source: str, key: str) -> Published:
    """The published detector that `zoo:NAME` means.

    Args:
      source: the name, with `zoo:`.
      key: config key or flag that gave it, for messages.

    Raises:
      InputError: there is none of that name.
    """
    name = source.removeprefix(ZOO_PREFIX)
    if name not in ZOO:
        near = difflib.get_close_matches(name.lower(), ZOO, n=3, cutoff=0.4)
        hint = f" Did you mean {' or '.join(f'{ZOO_PREFIX}{other}' for other in near)}?" if near else ""
        raise InputError(f"{key} is {source!r}, which is not in the zoo.{hint} `python -m lad_jax zoo` lists it.")
    return ZOO[name]


def fetch(source: str, key: str) -> Path:
    """File of a published detector in the zoo's cache, into which it is fetched if need be.

    Args:
      source, key: see `find`.

    Raises:
      InputError: there is none of that name, its file could not be read here, or it cannot be fetched.
    """
    published = find(source, key)
    path = cache_folder("zoo") / published.file
    if path.exists():
        return path
    check_readable(path)  # what could not be read is not fetched
    make_folder(path.parent, "the zoo's cache")
    _log.info("fetching %s", published.url)
    try:
        download(published.url, path, promised_by(path.name))
    except InputError as error:
        raise InputError(
            f"{source} is not in the cache. {error} The same command tries again, from where it ended. Without a "
            f"network: fetch this address on a machine with one, and save the file here as {path}."
        ) from None
    return path
