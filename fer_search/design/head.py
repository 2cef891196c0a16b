"""The head: from a network's last feature maps to the seven classes."""

from __future__ import annotations

from dataclasses import dataclass

from fer_search.design.checks import all_real, check, check_flag, check_one_of, is_sequence, is_whole, spread
from fer_search.design.networks import ACTIVATIONS

POOLING = ("average", "max", "flatten")


@dataclass(frozen=True)
class Head:
    """What follows the network: pooling, dropout, then for each dense layer Dense, BN, dropout; then Dense 7.

    The activation is the dense layer's own, so BN comes after it, in the order in which the report names the layers.

    Args:
        dense: units of each hidden dense layer; empty for none.
        dropout: share of units dropped, one number for all places or one for each of the ``len(dense) + 1`` places:
            before the first dense layer, and after each.
        pooling: "average" and "max" are global; "flatten" keeps all positions.
        batch_norm: whether BN follows each hidden dense layer.
        activation: of the hidden dense layers.
    """

    dense: tuple[int, ...] = ()
    dropout: tuple[float, ...] = (0.0,)
    pooling: str = "average"
    batch_norm: bool = True
    activation: str = "relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dense", tuple(self.dense) if is_sequence(self.dense) else (self.dense,))
        check(self, "dense", all(is_whole(units, 1, 16384) for units in self.dense), "units from 1 to 16384")
        places = len(self.dense) + 1
        object.__setattr__(self, "dropout", spread(self.dropout, places))
        check(
            self, "dropout", len(self.dropout) == places, f"one number, or {places}: before and after the dense layers"
        )
        check(self, "dropout", all_real(self.dropout, 0, 0.95), "numbers from 0 to 0.95")
        check_one_of(self, "pooling", POOLING)
        check_flag(self, "batch_norm")
        check_one_of(self, "activation", ACTIVATIONS)
