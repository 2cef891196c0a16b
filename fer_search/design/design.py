"""The Design: its parts together, and its JSON form."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from fer_search.design.augmentation import Augmentation, Evaluation
from fer_search.design.checks import DesignError, check
from fer_search.design.custom import Custom
from fer_search.design.head import Head
from fer_search.design.networks import FAMILIES, Backbone, Network, Residual
from fer_search.design.optimisation import Optimisation

PARTS = {"head": Head, "augmentation": Augmentation, "optimisation": Optimisation, "evaluation": Evaluation}


@dataclass(frozen=True)
class Design:
    """A network, its augmentation, how it is trained, and how it predicts.

    Args:
        network: Layers before the head.
        head: Pooling and the layers after it.
        augmentation: Augmentation of the training images.
        optimisation: Optimiser, schedule and loss.
        evaluation: Test-time augmentation.
    """

    network: Network = field(default_factory=Residual)
    head: Head = field(default_factory=Head)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimisation: Optimisation = field(default_factory=Optimisation)
    evaluation: Evaluation = field(default_factory=Evaluation)

    def __post_init__(self) -> None:
        families = tuple(FAMILIES.values())
        check(self, "network", isinstance(self.network, families), f"a {' or '.join(f.__name__ for f in families)}")
        for name, part in PARTS.items():
            check(self, name, isinstance(getattr(self, name), part), f"a {part.__name__}")

        one_size = isinstance(self.network, (Backbone, Custom)) or self.head.pooling == "flatten"
        if self.optimisation.low_resolution and one_size:
            raise DesignError(
                "Optimisation.low_resolution must be 0 for a pretrained backbone, a custom network and Head.pooling "
                "'flatten': the network must take images of any size"
            )

    @property
    def family(self) -> str:
        """Key of FAMILIES for the network's family, as used in JSON and messages."""
        return next(name for name, kind in FAMILIES.items() if type(self.network) is kind)

    def scaled(self, width: float) -> Design:
        """Return this design with every filter count multiplied by ``width``; backbones and custom networks stay."""
        if isinstance(self.network, (Backbone, Custom)):
            return self
        network = dataclasses.replace(self.network, width=self.network.width * width)
        return dataclasses.replace(self, network=network)

    def to_dict(self) -> dict[str, Any]:
        """Return the design as JSON-serialisable data; ``from_dict`` restores an equal Design."""
        data = dataclasses.asdict(self)
        if isinstance(self.network, Custom):
            data["network"] = self.network.to_dict()
        return data | {"network": {"family": self.family} | data["network"]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Design:
        """Restore a Design from the output of ``to_dict``.

        Raises:
            DesignError: A field is unknown or invalid; the message names it.
        """
        parts = dict(data)
        network = dict(parts.pop("network", {}))
        family = network.pop("family", "residual")
        if family not in FAMILIES:
            raise DesignError(f"Design.network.family must be {' or '.join(FAMILIES)}, not {family!r}")
        if unknown := set(parts) - set(PARTS):
            raise DesignError(f"Design has no field {sorted(unknown)[0]!r}; it has network, {', '.join(PARTS)}")
        made: dict[str, Any] = {name: _make(kind, parts.get(name, {})) for name, kind in PARTS.items()}
        return cls(network=_make(FAMILIES[family], network), **made)


def _make(kind: type, fields: dict[str, Any]) -> Any:
    known = [f.name for f in dataclasses.fields(kind)]
    for name in fields:
        if name not in known:
            raise DesignError(f"{kind.__name__} has no field {name!r}; it has {', '.join(known)}")
    return kind(**fields)
