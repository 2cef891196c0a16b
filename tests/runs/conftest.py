"""Fixtures for searches with fake training; makes the report tests' run-folder writer importable."""

import sys
from pathlib import Path

from made_up_search import made_up, search, state

__all__ = ["made_up", "search", "state"]
sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
