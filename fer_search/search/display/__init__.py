"""What a user sees of a search: a live panel, plain lines or JSON lines, and the dry run.

``choose_reporter`` picks one of three reporters, which all receive the same ``events``.
"""

from fer_search.search.display.choose import choose_reporter
from fer_search.search.display.lines import Lines

__all__ = ["Lines", "choose_reporter"]
