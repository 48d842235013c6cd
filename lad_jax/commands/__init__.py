"""The commands of `python -m lad_jax COMMAND`, one module each."""
