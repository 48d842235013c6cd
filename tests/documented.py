"""The assigner that docs/assigners.md shows, as it stands there."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

PAGE = (Path(__file__).parents[1] / "docs/assigners.md").read_text().partition("## An assigner of your own")[2]
SOURCE, CHECK, CONFIG = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^python -m lad_jax .*$", PAGE, re.MULTILINE)


def load(folder: Path) -> ModuleType:
    """The module `nearest`, written to a folder."""
    file = folder / "nearest.py"
    file.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("nearest", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
