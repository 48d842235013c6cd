"""Pictures that the memory of a GPU holds, from programs that were compiled for several numbers of them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks._programs import Case

CARDS_GB = (16, 24, 40, 80)
"""Memory of usual GPUs [10⁹ bytes]."""
FREE = 0.15
"""Share of the memory that is left over for cuDNN's workspaces and what else the compiler does not count."""


def rows(measured: Sequence[tuple[Case, dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each program that was compiled for two or more numbers of pictures.

    Memory is taken as a line in the number of pictures, through the least and the largest. `off` is how far those
    between lie from it at most; the last columns are the most pictures that fit a card of so many GB.
    """

    def all_but_pictures(item: tuple[Case, dict[str, Any]]) -> str:
        return repr(replace(item[0], pictures=0))

    result = []
    for _, group in itertools.groupby(sorted(measured, key=all_but_pictures), all_but_pictures):
        found = sorted(((case, figures["peak_gib"]) for case, figures in group), key=lambda item: item[0].pictures)
        (first, least), (last, largest) = found[0], found[-1]
        if first.pictures == last.pictures:
            continue
        each = (largest - least) / (last.pictures - first.pictures)
        fixed = least - each * first.pictures
        off = max(abs(gib - fixed - each * case.pictures) / gib for case, gib in found)
        result.append(
            {
                "program": f"{first.name}, {first.program}",
                "remat": first.remat,
                "objects": first.objects,
                "pictures": ", ".join(str(case.pictures) for case, _ in found),
                "fixed GiB": fixed,
                "GiB a picture": each,
                "off": f"{100 * off:.1f} %",
                **{f"{gb} GB": fitting(gb, fixed, each) for gb in CARDS_GB},
            }
        )
    return result


def fitting(card_gb: float, fixed_gib: float, each_gib: float) -> int:
    """The most pictures that fit a card, with `FREE` of it left over; 0: not even one."""
    return max(0, math.floor((card_gb * (1 - FREE) * 1e9 / 2**30 - fixed_gib) / each_gib))
