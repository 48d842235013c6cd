"""Weights of other programs in and out. The command line is `python -m lad_jax.convert`."""

from lad_jax.convert.files import load_arrays, save_arrays
from lad_jax.convert.weights import load_networks, load_torchvision_resnet, not_finite, to_mmdet

__all__ = ["load_arrays", "load_networks", "load_torchvision_resnet", "not_finite", "save_arrays", "to_mmdet"]
