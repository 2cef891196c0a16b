"""A run: the oracle, the loop, the run folder."""
