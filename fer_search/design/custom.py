"""Networks that a space file writes itself, as functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fer_search.design.checks import DesignError

_functions: dict[str, Callable[..., Any]] = {}  # name -> function of the space files loaded in this process


@dataclass(frozen=True, init=False)
class Custom:
    """A network that is a function of a space file: ``network=Custom(my_network, filters=hp.Choice(...))``.

    The function takes a Keras tensor of grey or RGB pixels divided by 255, (n, height, width, channels), and the
    arguments, and returns feature maps or features; the design's head follows. It is recorded by its name: the space
    file has to be loaded before a recorded design is built.

    Args:
        function: The function, or the name under which it was registered.
        whole: Whether the function is ``build(hp)`` of a space file, which returns a compiled ``keras.Model``; then
            ``arguments`` are the values of the choices.
        arguments: Arguments of the function by name; JSON-serialisable.
    """

    function: str
    arguments: tuple[tuple[str, Any], ...] = ()
    whole: bool = False

    def __init__(
        self,
        function: str | Callable[..., Any],
        arguments: Mapping[str, Any] | None = None,
        whole: bool = False,
        **more: Any,
    ) -> None:
        name = function if isinstance(function, str) else register(function)
        values = {**(arguments or {}), **more}
        try:
            values = json.loads(json.dumps(values))
        except (TypeError, ValueError) as error:
            raise DesignError(f"Custom.arguments must be numbers, strings or lists of these ({error})") from error
        frozen = tuple(sorted((name, _freeze(value)) for name, value in values.items()))
        for attribute, value in (("function", name), ("arguments", frozen), ("whole", bool(whole))):
            object.__setattr__(self, attribute, value)

    def values(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self.arguments}

    def resolve(self) -> Callable[..., Any]:
        """Return the function.

        Raises:
            DesignError: No space file with such a function has been loaded.
        """
        if self.function not in _functions:
            raise DesignError(f"the network {self.function}() is part of a space file that is not loaded")
        return _functions[self.function]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-serialisable data."""
        return {"function": self.function, "arguments": self.values(), "whole": self.whole}


def register(function: Callable[..., Any], name: str | None = None) -> str:
    """Make a function available to recorded designs; return its name."""
    name = name or str(getattr(function, "__name__", ""))
    if not callable(function) or not name.isidentifier():
        raise DesignError(f"Custom.function must be a function defined with def, not {function!r:.60}")
    _functions[name] = function
    return name


def _freeze(value: Any) -> Any:
    if isinstance(value, dict):
        raise DesignError("Custom.arguments must be numbers, strings or lists of these, not dictionaries")
    return tuple(map(_freeze, value)) if isinstance(value, list) else value
