"""A run folder -> pandas tables."""
