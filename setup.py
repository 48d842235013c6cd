"""Packages of the wheel, in which the configs are `lad_jax.configs`; pyproject.toml says the rest."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["lad_jax*"]), "lad_jax.configs"], package_dir={"lad_jax.configs": "configs"})
