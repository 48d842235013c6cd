"""Weights of other programs in and out. The command line is `python -m lad_jax convert`."""

from lad_jax.weights.files import load_arrays, save_arrays
from lad_jax.weights.state_dicts import load_backbone, load_networks, not_finite, to_mmdet, with_backbone

__all__ = ["load_arrays", "load_backbone", "load_networks", "not_finite", "save_arrays", "to_mmdet", "with_backbone"]
