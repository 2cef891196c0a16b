"""Searches that train nothing; how thorough the tests here are."""

import os

import pytest
from made_up_search import made_up, search, state

__all__ = ["made_up", "search", "state"]


@pytest.fixture
def thorough():
    """Whether this is the soak (``make soak``), which tries everything, or the suite, which takes samples."""
    return bool(os.environ.get("FER_SEARCH_SOAK"))
