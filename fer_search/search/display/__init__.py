"""How a search is shown: live on a terminal, as plain lines, as JSON, or hardly at all."""

from fer_search.search.display.choose import choose_view
from fer_search.search.display.lines import Lines

__all__ = ["Lines", "choose_view"]
