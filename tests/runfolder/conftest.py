"""Fixtures for searches with fake training."""

from made_up_search import made_up, search, state

__all__ = ["made_up", "search", "state"]
