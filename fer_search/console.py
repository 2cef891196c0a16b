"""A Rich console for text that others wrote. Apart from ``terminal``, since Rich takes a moment to import."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from fer_search.terminal import printable


class SafeConsole(Console):
    """A Rich console that prints strings as they are: no markup, no emoji codes, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a string, also one in a cell of a table."""
        return super().render_str(printable(text), **options | {"markup": False, "emoji": False})
