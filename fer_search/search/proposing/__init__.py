"""Oracles: which design to train next."""
