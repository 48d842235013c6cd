"""The training step: pure functions of arrays."""
