"""Checking the fields of a Design's parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fer_search.errors import UserError

IMAGE_SIZE = 48  # FER2013's pictures: 48 x 48 grey pixels


class DesignError(UserError, ValueError):
    """A field of a Design has a value that cannot be built. The message names the field."""


def check(owner: object, name: str, right: bool, wanted: str) -> None:
    """Raise a DesignError that names the field and says what is wanted, unless ``right``."""
    if not right:
        raise DesignError(f"{type(owner).__name__}.{name} must be {wanted}, not {getattr(owner, name)!r}")


def check_one_of(owner: object, name: str, allowed: Iterable[str]) -> None:
    """Check that a field is one of some words."""
    value = getattr(owner, name)
    check(owner, name, isinstance(value, str) and value in allowed, f"one of {', '.join(allowed)}")


def check_real(owner: object, name: str, low: float, high: float, wanted: str = "") -> None:
    """Check that a field is a number in a range, ends included."""
    check(owner, name, is_real(getattr(owner, name), low, high), wanted or f"a number from {low:g} to {high:g}")


def check_whole(owner: object, name: str, low: int, high: int, wanted: str = "") -> None:
    """Check that a field is a whole number in a range, ends included."""
    check(owner, name, is_whole(getattr(owner, name), low, high), wanted or f"a whole number from {low} to {high}")


def check_flag(owner: object, name: str) -> None:
    """Check that a field is True or False."""
    check(owner, name, isinstance(getattr(owner, name), bool), "True or False")


def spread(value: Any, places: int) -> tuple[Any, ...]:
    """Return one value for each of some places: a single value stands for all of them."""
    values = tuple(value) if is_sequence(value) else (value,)
    return values * places if len(values) == 1 else values


def is_sequence(value: object) -> bool:
    return isinstance(value, (list, tuple))


def is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_real(value: object, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def all_real(values: Sequence[object], low: float, high: float) -> bool:
    return all(is_real(value, low, high) for value in values)
