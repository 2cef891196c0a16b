"""Image size, colour and class names of a data set: all that a network needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FER2013_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # labels 0 to 6 of fer2013.csv
DEFAULT_SIZE = 48
MIN_SIZE, MAX_SIZE = 32, 224


@dataclass(frozen=True)
class DataSpec:
    """Shape of the images and names of the classes. The defaults are FER2013's.

    Args:
        image_size: Side of the square images, pixels.
        channels: 1 for grey, 3 for RGB.
        classes: Name of each class, in label order.
    """

    image_size: int = DEFAULT_SIZE
    channels: int = 1
    classes: tuple[str, ...] = FER2013_CLASSES

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of a network's input: height, width, channels."""
        return self.image_size, self.image_size, self.channels

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image in memory: (size, size) if grey, (size, size, 3) in colour."""
        return self.input_shape if self.channels > 1 else self.input_shape[:2]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-serialisable data."""
        return {"classes": list(self.classes), "image_size": self.image_size, "channels": self.channels}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DataSpec:
        """Restore a spec from a mapping that may hold other keys too; missing fields are FER2013's."""
        size, channels = int(data.get("image_size", DEFAULT_SIZE)), int(data.get("channels", 1))
        return cls(size, channels, tuple(data.get("classes", FER2013_CLASSES)))

    def describe(self) -> str:
        """Return the spec in words."""
        colour = "grey" if self.channels == 1 else "RGB"
        return f"{self.image_size}x{self.image_size} {colour}, {len(self.classes)} classes"
