"""What `python -m lad_jax COMMAND` does, one module a command."""
