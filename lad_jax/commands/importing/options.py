"""Options that all importers have on the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from absl import flags

from lad_jax.commands.flags import define_path
from lad_jax.errors import InputError
from lad_jax.paths import local_path


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import."""

    folder: Path
    """Folder of the pictures and their annotations; `file_name` in the output is relative to it."""
    output: Path
    """Folder that gets one file a split, `train.json`, `val.json`, …"""
    splits: tuple[str, ...] = ()
    """Splits to import; empty: all that there are."""
    val_share: float = 0.0
    """Share of the pictures that becomes the split `val` of a folder that has no splits, 0…1."""
    classes: Path | None = None
    """File of the class names; None: as the format says."""
    on_bad_box: Literal["stop", "skip"] = "stop"
    """Action where a box has no area within its picture."""


def define_flags(default_classes: str) -> None:
    """Define the flags of `ImportOptions`; `default_classes` says what an empty `--classes` means."""
    define_path("output", None, "Folder for train.json, val.json, …; default: the folder that is imported.")
    flags.DEFINE_list("splits", [], "Only these splits, such as train,val; default: all that there are.")
    flags.DEFINE_float(
        "val_share",
        0.0,
        "Of a folder without splits, the share of the pictures to validate on, such as 0.2; drawn by file name. Where "
        "pictures resemble each other (frames of a video), sort them into folders train and val instead.",
    )
    define_path(
        "classes",
        None,
        f"File of class names: one a line, a data.yaml, or an imported .json; default: {default_classes}.",
    )
    flags.DEFINE_enum(
        "on_bad_box", "stop", ["stop", "skip"], "Boxes without area in their picture: stop, or leave out."
    )


def parse_flags(arguments: list[str]) -> ImportOptions:
    """The options that the command line gives.

    Args:
      arguments: the program's name and what is no flag: the folder.

    Raises:
      InputError: not one folder, or a share beyond its bounds.
    """
    values = flags.FLAGS
    folder = Path(local_path(arguments[1], "the folder")) if len(arguments) > 1 else None
    if not (folder and folder.is_dir()):
        raise InputError(f"give one folder that exists, not {folder or 'nothing'}; see --help.")
    if not 0 <= values.val_share < 1:
        raise InputError(f"--val_share is {values.val_share}; it must be at least 0 and less than 1.")
    return ImportOptions(
        folder=folder,
        output=values.output or folder,
        splits=tuple(values.splits),
        val_share=values.val_share,
        classes=values.classes,
        on_bad_box=values.on_bad_box,
    )
