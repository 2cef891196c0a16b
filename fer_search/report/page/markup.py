"""HTML that is escaped by construction: text becomes markup through ``tag`` alone."""

from __future__ import annotations

from html import escape


class Markup(str):
    """A piece of HTML."""


Child = str | None  # plain text, a Markup, or nothing


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """Return an element.

    Args:
        name: of the element.
        children: what is in it; strings that are not Markup are escaped, None is left out.
        attributes: ``class_`` becomes "class", other underscores hyphens; True writes the name alone, None and False
            leave it out.
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in ("meta", "link", "input", "br", "img"):
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Return pieces one after the other; strings that are not Markup are escaped."""
    return Markup(
        "".join(child if isinstance(child, Markup) else escape(child) for child in children if child is not None)
    )


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
