"""How a data set is to be read: its classes, the size and colour of its images, its splits."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from fer_search.data.spec import MAX_SIZE, MIN_SIZE
from fer_search.errors import UserError

DEFAULT_TEST = 0.1


@dataclass(frozen=True)
class DataOptions:
    """Options that change what is read; the same source is cached once per combination.

    Args:
        classes: Class names to keep, others are dropped; empty for all.
        mapping: --map arguments: the name of a preset, or "label=class,label=class".
        image_size: Side of the images, pixels; None chooses it from the data.
        colour: Whether to keep three channels.
        test: Fraction of the training images to set aside for the test where the data have no test images; None for
            the default.
        group_by: Regular expression over an image's file name whose first group (or match) names the person.
    """

    classes: tuple[str, ...] = ()
    mapping: tuple[str, ...] = ()
    image_size: int | None = None
    colour: bool = False
    test: float | None = None
    group_by: str | None = None

    def __post_init__(self) -> None:
        if self.image_size is not None and not MIN_SIZE <= self.image_size <= MAX_SIZE:
            raise UserError(f"--image-size must be from {MIN_SIZE} to {MAX_SIZE} pixels, not {self.image_size}")
        if self.test is not None and not 0 <= self.test <= 0.9:
            raise UserError(f"--test must be a fraction from 0 to 0.9, not {self.test:g}")
        if self.group_by is not None:
            try:
                re.compile(self.group_by)
            except re.error as error:
                raise UserError(f"--group-by {self.group_by!r} is not a regular expression ({error})") from error

    @property
    def channels(self) -> int:
        """Number of channels of an image."""
        return 3 if self.colour else 1

    def to_dict(self) -> dict[str, Any]:
        """Return the options that are not at their defaults, as JSON-serialisable data."""
        default = DataOptions()
        return {k: v for k, v in asdict(self).items() if v != getattr(default, k)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DataOptions:
        """Restore the result of ``to_dict``."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**fields)
