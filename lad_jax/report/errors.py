"""What the detector of a run gets wrong, for a report."""

from pathlib import Path
from typing import Any

from lad_jax.report.recordings import Id


def errors_of(workdir: Path, shown: list[Id]) -> dict[str, Any] | None:
    """Errors of the run's last evaluation on all validation pictures; None where they are not known.

    Args:
      workdir: folder of the run.
      shown: ids of the pictures that the report shows.
    """
    return None
