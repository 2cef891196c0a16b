"""Validation of the fields of a Design's parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fer_search.errors import UserError

IMAGE_SIZE = 48  # side of FER2013's images; crops and cutouts are given in pixels of this size


def scale_pixels(pixels: float, image_size: int) -> int:
    """Return a length given in pixels of a 48-pixel image in pixels of an image of another size."""
    return round(pixels * image_size / IMAGE_SIZE)


class DesignError(UserError, ValueError):
    """A field of a Design has an invalid value; the message names the field."""


def check(owner: object, name: str, valid: bool, expected: str) -> None:
    """Raise a DesignError naming the field and the expected value, unless ``valid``."""
    if not valid:
        raise DesignError(f"{type(owner).__name__}.{name} must be {expected}, not {getattr(owner, name)!r}")


def check_one_of(owner: object, name: str, allowed: Iterable[str]) -> None:
    """Check that a field is one of the allowed strings."""
    value = getattr(owner, name)
    check(owner, name, isinstance(value, str) and value in allowed, f"one of {', '.join(allowed)}")


def check_number(owner: object, name: str, low: float, high: float, expected: str = "") -> None:
    """Check that a field is a number in [low, high]."""
    check(owner, name, is_number(getattr(owner, name), low, high), expected or f"a number from {low:g} to {high:g}")


def check_int(owner: object, name: str, low: int, high: int, expected: str = "") -> None:
    """Check that a field is an integer in [low, high]."""
    check(owner, name, is_int(getattr(owner, name), low, high), expected or f"an integer from {low} to {high}")


def check_bool(owner: object, name: str) -> None:
    """Check that a field is True or False."""
    check(owner, name, isinstance(getattr(owner, name), bool), "True or False")


def broadcast_value(value: Any, places: int) -> tuple[Any, ...]:
    """Return ``places`` values; a single value is repeated."""
    values = tuple(value) if is_sequence(value) else (value,)
    return values * places if len(values) == 1 else values


def is_sequence(value: object) -> bool:
    return isinstance(value, (list, tuple))


def is_int(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def all_numbers(values: Sequence[object], low: float, high: float) -> bool:
    return all(is_number(value, low, high) for value in values)
