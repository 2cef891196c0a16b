"""The head: from the last feature maps to class probabilities."""

from __future__ import annotations

from dataclasses import dataclass

from fer_search.design.checks import all_numbers, broadcast_value, check, check_bool, check_one_of, is_int, is_sequence
from fer_search.design.networks import ACTIVATIONS

POOLING = ("average", "max", "flatten")


@dataclass(frozen=True)
class Head:
    """Pooling and dropout, then Dense, BN and dropout for each hidden layer, then Dense with one unit per class.

    The activation belongs to the dense layer, so BN follows it, in the order in which the course report lists the
    layers.

    Args:
        dense: Units of each hidden dense layer; empty for none.
        dropout: Dropout rate, either one number for all positions or one for each of the ``len(dense) + 1`` positions:
            before the first dense layer and after each.
        pooling: "average" and "max" are global; "flatten" keeps all positions.
        batch_norm: Whether each hidden dense layer is followed by BN.
        activation: Activation of the hidden dense layers.
    """

    dense: tuple[int, ...] = ()
    dropout: tuple[float, ...] = (0.0,)
    pooling: str = "average"
    batch_norm: bool = True
    activation: str = "relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dense", tuple(self.dense) if is_sequence(self.dense) else (self.dense,))
        check(self, "dense", all(is_int(units, 1, 16384) for units in self.dense), "units from 1 to 16384")
        positions = len(self.dense) + 1
        object.__setattr__(self, "dropout", broadcast_value(self.dropout, positions))
        check(
            self,
            "dropout",
            len(self.dropout) == positions,
            f"one number, or {positions} (before and after the dense layers)",
        )
        check(self, "dropout", all_numbers(self.dropout, 0, 0.95), "numbers from 0 to 0.95")
        check_one_of(self, "pooling", POOLING)
        check_bool(self, "batch_norm")
        check_one_of(self, "activation", ACTIVATIONS)
