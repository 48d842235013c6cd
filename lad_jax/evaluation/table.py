"""The table of an evaluation, as text."""

from collections.abc import Mapping, Sequence

from lad_jax.evaluation.coco import NO_AP, Metrics, names_of
from lad_jax.evaluation.errors import Errors


def format_table(metrics: Metrics, errors: Errors) -> str:
    """COCO's twelve numbers, the best score threshold, and AP, AP50 and recall by class.

    All but the threshold in percent; "-" where there is nothing to measure.
    """
    counted = list(metrics.overall)[8].removeprefix("AR_")
    notes = [] if names_of()[8] in metrics.overall else [f"{counted} detections a picture count"]
    notes += [NO_AP] if metrics.overall["AP"] is None else []
    by_class = {c.name: (metrics.per_class[c.name], c.ap50, c.recall) for c in errors.classes}
    return "\n".join(
        [
            *_columns({name: (value,) for name, value in metrics.overall.items()}, 6),
            *notes,
            "",
            _threshold_line(errors),
            "",
            "AP, AP50 and recall at that threshold by class",
            *_columns(by_class, 3),
        ]
    )


def _threshold_line(errors: Errors) -> str:
    """The best score threshold and its F1."""
    threshold, f1 = errors.best
    if threshold is None or f1 is None:
        return "best score threshold: none, since nothing is found at IoU 0.5"
    return f"best score threshold: {threshold:.3f}, F1 {100 * f1:.1f} at IoU 0.5"


def _columns(values: Mapping[str, Sequence[float | None]], per_line: int) -> list[str]:
    """Lines of cells, each a name and its values in percent."""
    width = max(map(len, values), default=0)
    cells = [" ".join([f"{name:<{width}}", *map(_percent, numbers)]) for name, numbers in values.items()]
    return ["   ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]


def _percent(value: float | None) -> str:
    return f"{'-' if value is None else f'{100 * value:.1f}':>5}"
