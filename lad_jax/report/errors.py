"""What the detector of a run gets wrong, for a report."""

import json
from pathlib import Path
from typing import Any

from lad_jax.errors import InputError
from lad_jax.report.recordings import Id
from lad_jax.run import recording


def errors_of(workdir: Path, shown: list[Id]) -> dict[str, Any] | None:
    """Errors of the run's last evaluation on all validation pictures; None where none are recorded.

    Args:
      workdir: folder of the run.
      shown: ids of the pictures that the report shows.

    Raises:
      InputError: the file of the errors is damaged.
    """
    file = recording.errors_file(workdir)
    if not file.exists():
        return None
    place = {number: i for i, number in enumerate(shown)}
    try:
        errors: dict[str, Any] = json.loads(file.read_text())
        worst = [picture | {"picture": place.get(picture["id"])} for picture in errors["worst"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is damaged: delete it. Reason: {error}") from error
    return errors | {"worst": worst}
