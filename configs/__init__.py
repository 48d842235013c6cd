"""Configs of the package, `lad_jax.configs`: each file is one, and some have variants."""
