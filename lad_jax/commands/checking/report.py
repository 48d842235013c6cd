"""Facts about a data set as text."""

from collections import Counter
from collections.abc import Mapping, Sequence

from lad_jax.commands.checking.summary import UNLIKE_IOU, AnchorFit, Canvases, Spread, Summary
from lad_jax.commands.checking.suspects import Suspect
from lad_jax.data.options import DataOptions

MANY = 0.05
"""Share of objects, or of padding, above which advice is given."""


def format_counts(summaries: Mapping[str, Summary], class_names: Sequence[str]) -> str:
    """Pictures and objects of each split, side by side."""
    splits = list(summaries.values())
    rows = [
        ["", *summaries],
        ["pictures", *(str(s.pictures) for s in splits)],
        ["  without objects", *(str(s.empty) for s in splits)],
        ["  below 32 pixels, not trained on", *(str(s.small) for s in splits)],
        ["  width", *(_spread(s.width) for s in splits)],
        ["  height", *(_spread(s.height) for s in splits)],
        ["objects", *(str(s.per_class.sum()) for s in splits)],
        ["  a picture", *(_spread(s.per_picture) for s in splits)],
        ["crowd regions, no objects", *(str(s.crowds) for s in splits)],
        ["objects of class", *("" for _ in splits)],
        *(["  " + name, *(str(s.per_class[i]) for s in splits)] for i, name in enumerate(class_names)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def format_canvases(canvases: Canvases, options: DataOptions) -> str:
    """Canvases of the training pictures, each with its padding."""
    lines = [f"training pictures, resized to fit {options.short_side} (short side) and {options.long_side} pixels"]
    lines += [
        f"  canvas {height}x{width}: {count} pictures, {share:.1%} padding"
        for (height, width), count, share in zip(canvases.sizes, canvases.pictures, canvases.padding, strict=True)
    ]
    lines += [f"  padding of all: {canvases.all_padding:.1%}"]
    if canvases.all_padding > 2 * MANY:
        lines += [f"! much padding is wasted work: raise config.data.canvases (now {options.canvases})"]
    return "\n".join(lines)


def format_anchors(fit: AnchorFit, strides: Sequence[int], sides: Sequence[float]) -> str:
    """Training objects by the level that fits them, with advice where many fit none."""
    n = max(1, int(fit.per_level.sum()))
    lines = ["training objects, resized, by the anchors that fit their size best"]
    lines += [
        f"  P{stride.bit_length() - 1}, stride {stride}, anchor {side:g}x{side:g}: {count} ({count / n:.0%})"
        for stride, side, count in zip(strides, sides, fit.per_level, strict=True)
    ]
    lines += [
        f"  smaller than the smallest anchor: {fit.smaller} ({fit.smaller / n:.0%})",
        f"  larger than the largest anchor: {fit.larger} ({fit.larger / n:.0%})",
        f"  IoU below {UNLIKE_IOU:g} with any anchor: {fit.unmatched} ({fit.unmatched / n:.0%})",
    ]
    if fit.unmatched > MANY * n or fit.smaller > n / 2:
        lines += [
            "! small objects: lower config.model.anchor_scale or config.model.first_level, or resize to more pixels"
        ]
    if fit.larger > n / 2:
        lines += ["! large objects: raise config.model.n_levels or config.model.anchor_scale"]
    return "\n".join(lines)


def format_suspects(split: str, suspects: Sequence[Suspect], most: int = 5) -> str:
    """Suspicious boxes by reason, the first few of each with their pictures."""
    lines = []
    for reason, count in Counter(suspect.reason for suspect in suspects).items():
        lines.append(f"! {split}: {count} boxes {reason}")
        lines += [f"    {suspect.text}" for suspect in suspects if suspect.reason == reason][:most]
        lines += ["    …"] * (count > most)
    return "\n".join(lines) or f"{split}: no suspicious boxes"


def _spread(values: Spread) -> str:
    return " … ".join(f"{value:g}" for value in values)
