"""A report of runs: one page that shows who is responsible, how training went, and what a detector gets wrong."""
