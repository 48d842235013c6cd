"""Dense object detection in JAX/Flax: label assignment, and its distillation from one network to another."""

import importlib
from pathlib import Path
from typing import Any

if not Path(__file__).with_name("configs").is_dir():  # a clone, which has the configs beside the package
    __path__.append(str(Path(__file__).parents[1]))

_HOMES = {
    "Exported": "lad_jax.run.exported",
    "InputError": "lad_jax.errors",
    "RunOptions": "lad_jax.options",
    "explain": "lad_jax.run.explain",
    "from_config": "lad_jax.config",
    "Result": "lad_jax.run.result",
    "Trained": "lad_jax.run.trained",
    "load": "lad_jax.run.load",
}

__version__ = "0.1.0"
__all__ = ["Exported", "InputError", "Result", "RunOptions", "Trained", "explain", "from_config", "load"]


def __getattr__(name: str) -> Any:
    """Import the asked name's module, and no other: the loader's worker processes need numpy and OpenCV only."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
