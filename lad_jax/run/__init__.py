"""The process of a run: what is written, survived, shown and waited for around the steps."""
