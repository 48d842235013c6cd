"""The process of a run: checkpoints, logs, signals and recovery around the steps."""
