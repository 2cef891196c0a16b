"""Design: one point of a search space, and the whole vocabulary of what can be built and trained.

A Design is plain data. ``fer_search.models`` turns it into a ``keras.Model``, ``fer_search.augment`` into the random
transformations of its training images, ``fer_search.training`` into a training. Every part checks its fields when it
is made, so that a wrong value is reported by name before anything is built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fer_search.errors import UserError

IMAGE_SIZE = 48  # FER2013's pictures: 48 x 48 grey pixels
DOWNSAMPLING = ("max_pool", "strided")
OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("constant", "plateau")


class DesignError(UserError, ValueError):
    """A field of a Design has a value that cannot be built. The message names the field."""


@dataclass(frozen=True)
class Residual:
    """A residual network in stages; its defaults are Figure 1 of the report.

    A block of f filters is Conv3x3, BN, ReLU, Conv3x3, BN, plus a shortcut that is always a Conv1x1 (with bias, without
    BN), then ReLU. Each stage halves the resolution of the one before it.

    Args:
        stages: for each stage, the filters of each of its blocks.
        downsample: "max_pool" puts a 2x2 max-pool between stages; "strided" gives the first block of every later stage
            stride 2 in its first convolution and in its shortcut.
        width: factor on every filter count (rounded, at least 1). 0.125 is about 64 times cheaper than 1.
    """

    stages: tuple[tuple[int, ...], ...] = ((64, 64, 128, 128), (256, 256), (512, 512))
    downsample: str = "max_pool"
    width: float = 1.0

    def __post_init__(self) -> None:
        stages = self.stages if _is_sequence(self.stages) else ()
        object.__setattr__(self, "stages", tuple(tuple(stage) if _is_sequence(stage) else () for stage in stages))
        most = IMAGE_SIZE.bit_length() - 1  # 48, 24, 12, 6, 3 pixels a side
        _check(self, "stages", 1 <= len(self.stages) <= most, f"1 to {most} stages, each a list of filters")
        _check(self, "stages", all(self.stages), "at least one block in every stage")
        _check(self, "stages", all(_whole(f, 1, 4096) for s in self.stages for f in s), "filters from 1 to 4096")
        _check(self, "downsample", self.downsample in DOWNSAMPLING, f"one of {', '.join(DOWNSAMPLING)}")
        _check(self, "width", _real(self.width, 0.001, 16), "a number from 0.001 to 16")

    def filters(self) -> tuple[tuple[int, ...], ...]:
        """Return the filters of every block of every stage, after ``width``."""
        return tuple(tuple(max(1, round(f * self.width)) for f in stage) for stage in self.stages)


@dataclass(frozen=True)
class Head:
    """What follows the global average pooling: dropout, then for each dense layer Dense, BN, ReLU, dropout; then Dense 7.

    Args:
        dense: units of each hidden dense layer; empty for none.
        dropout: share of units dropped, one number for all places or one for each of the ``len(dense) + 1`` places:
            before the first dense layer, and after each.
    """

    dense: tuple[int, ...] = ()
    dropout: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dense", tuple(self.dense) if _is_sequence(self.dense) else (self.dense,))
        _check(self, "dense", all(_whole(units, 1, 16384) for units in self.dense), "units from 1 to 16384")
        places = len(self.dense) + 1
        dropout = tuple(self.dropout) if _is_sequence(self.dropout) else (self.dropout,)
        dropout = dropout * places if len(dropout) == 1 else dropout
        object.__setattr__(self, "dropout", dropout)
        _check(self, "dropout", len(dropout) == places, f"one number, or {places}: before and after the dense layers")
        _check(self, "dropout", all(_real(rate, 0, 0.95) for rate in dropout), "numbers from 0 to 0.95")


@dataclass(frozen=True)
class Augmentation:
    """Random changes of each training image in each epoch; the defaults change nothing.

    The geometry means what the legacy Keras ImageDataGenerator means by the same words, since the report used that: the
    defaults of its ``shear_range`` are degrees, zoom is drawn for rows and columns apart, and pixels from outside
    repeat the border.

    Args:
        rotation: largest rotation either way, degrees.
        shear: largest shear either way, degrees.
        zoom: rows and columns are each scaled by a factor from 1 - zoom to 1 + zoom.
        shift: largest shift either way, as a share of the image's size, rows and columns apart.
        flip: mirror left and right, half of the time.
        cutout: side in pixels of one black square at a random place; 0 for none (DeVries & Taylor 2017,
            arXiv:1708.04552).
        cutout_clipped: the square's centre is anywhere, so that borders may clip it (as in that paper, and in the
            pictures of the report); otherwise all of it is inside.
        mixup_alpha: blend each image and label with another's, in shares drawn from Beta(alpha, alpha) for each
            image; 0 for none (Zhang et al. 2018, arXiv:1710.09412).
    """

    rotation: float = 0.0
    shear: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    flip: bool = False
    cutout: int = 0
    cutout_clipped: bool = True
    mixup_alpha: float = 0.0

    def __post_init__(self) -> None:
        _check(self, "rotation", _real(self.rotation, 0, 180), "degrees from 0 to 180")
        _check(self, "shear", _real(self.shear, 0, 80), "degrees from 0 to 80")
        _check(self, "zoom", _real(self.zoom, 0, 0.9), "a share from 0 to 0.9")
        _check(self, "shift", _real(self.shift, 0, 1), "a share from 0 to 1")
        _check(self, "flip", isinstance(self.flip, bool), "True or False")
        _check(self, "cutout", _whole(self.cutout, 0, IMAGE_SIZE), f"whole pixels from 0 to {IMAGE_SIZE}")
        _check(self, "cutout_clipped", isinstance(self.cutout_clipped, bool), "True or False")
        _check(self, "mixup_alpha", _real(self.mixup_alpha, 0, 100), "a number from 0 to 100")

    @property
    def geometric(self) -> bool:
        """Whether any image is moved, turned, sheared, scaled or mirrored."""
        return bool(self.rotation or self.shear or self.zoom or self.shift or self.flip)


@dataclass(frozen=True)
class Optimisation:
    """How the weights are trained; the defaults are the report's.

    Args:
        optimizer: "adam" (Keras' defaults) or "sgd".
        learning_rate: the first learning rate.
        momentum: Nesterov momentum of "sgd".
        batch_size: images a step.
        schedule: "plateau" is Keras' ReduceLROnPlateau on the validation loss; "constant" never changes.
        plateau_factor: what a plateau multiplies the learning rate by.
        plateau_patience: epochs without improvement that make a plateau.
        min_learning_rate: a plateau never goes below it.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    batch_size: int = 256
    schedule: str = "plateau"
    plateau_factor: float = 0.1
    plateau_patience: int = 5
    min_learning_rate: float = 1e-7

    def __post_init__(self) -> None:
        _check(self, "optimizer", self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}")
        _check(self, "learning_rate", _real(self.learning_rate, 1e-12, 100), "a number above 0, at most 100")
        _check(self, "momentum", _real(self.momentum, 0, 0.9999), "a number from 0 to 0.9999")
        _check(self, "batch_size", _whole(self.batch_size, 1, 65536), "a whole number from 1 to 65536")
        _check(self, "schedule", self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}")
        _check(self, "plateau_factor", _real(self.plateau_factor, 1e-6, 0.999), "a number above 0 and below 1")
        _check(self, "plateau_patience", _whole(self.plateau_patience, 0, 10000), "epochs from 0 to 10000")
        _check(self, "min_learning_rate", _real(self.min_learning_rate, 0, 100), "a number from 0 to 100")


FAMILIES: dict[str, type] = {"residual": Residual}  # a network's name in JSON -> its class


@dataclass(frozen=True)
class Design:
    """One network, how its training images are changed, and how it is trained.

    Args:
        network: the layers up to the global average pooling.
        head: the layers after it.
        augmentation: of the training images.
        optimisation: of the weights.
    """

    network: Residual = field(default_factory=Residual)
    head: Head = field(default_factory=Head)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimisation: Optimisation = field(default_factory=Optimisation)

    def __post_init__(self) -> None:
        families = tuple(FAMILIES.values())
        _check(self, "network", isinstance(self.network, families), _names(families))
        for name, part in (("head", Head), ("augmentation", Augmentation), ("optimisation", Optimisation)):
            _check(self, name, isinstance(getattr(self, name), part), _names((part,)))

    def scaled(self, width: float) -> Design:
        """Return this design with every filter count times ``width``."""
        network = dataclasses.replace(self.network, width=self.network.width * width)
        return dataclasses.replace(self, network=network)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; ``from_dict`` makes an equal Design of it."""
        data = dataclasses.asdict(self)
        family = next(name for name, kind in FAMILIES.items() if type(self.network) is kind)
        return data | {"network": {"family": family} | data["network"]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Design:
        """Make a Design of what ``to_dict`` gave.

        Raises:
            DesignError: a field is unknown, missing or wrong; the message names it.
        """
        parts = dict(data)
        network = dict(parts.pop("network", {}))
        family = network.pop("family", "residual")
        if family not in FAMILIES:
            raise DesignError(f"Design.network.family must be {' or '.join(FAMILIES)}, not {family!r}")
        kinds = {"head": Head, "augmentation": Augmentation, "optimisation": Optimisation}
        if unknown := set(parts) - set(kinds):
            raise DesignError(f"Design has no field {sorted(unknown)[0]!r}; it has network, {', '.join(kinds)}")
        made = {name: _make(kind, parts.get(name, {})) for name, kind in kinds.items()}
        return cls(network=_make(FAMILIES[family], network), **made)


def _make(kind: type, fields: dict[str, Any]) -> Any:
    known = [f.name for f in dataclasses.fields(kind)]
    for name in fields:
        if name not in known:
            raise DesignError(f"{kind.__name__} has no field {name!r}; it has {', '.join(known)}")
    return kind(**fields)


def _check(owner: object, name: str, right: bool, wanted: str) -> None:
    if not right:
        raise DesignError(f"{type(owner).__name__}.{name} must be {wanted}, not {getattr(owner, name)!r}")


def _names(kinds: Iterable[type]) -> str:
    return "a " + " or ".join(kind.__name__ for kind in kinds)


def _is_sequence(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _real(value: object, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
