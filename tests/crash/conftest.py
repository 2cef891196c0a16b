"""Fixtures for searches with fake training, and for the thoroughness of the crash tests."""

import os

import pytest
from made_up_search import made_up, search, state

__all__ = ["made_up", "search", "state"]


@pytest.fixture
def thorough():
    """Whether to test all states (``make soak``) or a sample of them (the test suite)."""
    return bool(os.environ.get("FER_SEARCH_SOAK"))
