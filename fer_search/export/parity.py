"""Whether an exported file predicts what the network predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_search.errors import UserError


@dataclass(frozen=True)
class Tolerance:
    """How far an exported file may be from the network.

    Args:
        agreement: Lowest fraction of images on which the predicted class is the same.
        difference: Largest difference of a probability.
    """

    agreement: float
    difference: float


# Float formats differ by rounding alone; quantisation changes weights (float16: 11 bits) or all arithmetic (int8).
TOLERANCES = {
    None: Tolerance(0.995, 1e-4),
    "float16": Tolerance(0.98, 0.02),
    "int8": Tolerance(0.90, 0.35),
}


@dataclass(frozen=True)
class Parity:
    """The comparison of an exported file with the network.

    Args:
        images: Number of images compared.
        agreeing: Images on which the predicted class is the same.
        difference: Largest difference of a probability.
    """

    images: int
    agreeing: int
    difference: float

    @property
    def agreement(self) -> float:
        return self.agreeing / self.images

    def __str__(self) -> str:
        return (
            f"the predicted class agrees on {self.agreeing:,} of {self.images:,} images ({self.agreement:.1%}), the "
            f"largest difference of a probability is {self.difference:.1e}"
        )


def compare(network: np.ndarray, exported: np.ndarray) -> Parity:
    """Compare probabilities, both float (n, classes); n must be at least 1."""
    same = network.argmax(axis=1) == exported.argmax(axis=1)
    return Parity(len(network), int(same.sum()), float(np.abs(network - exported).max()))


def check_parity(parity: Parity, quantise: str | None, name: str) -> None:
    """Refuse a file that does not predict what the network predicts.

    Args:
        parity: From ``compare``.
        quantise: How the file was quantised: "int8", "float16" or None.
        name: The file, for the message.

    Raises:
        UserError: It differs by more than the tolerance (exit code 1).
    """
    limit = TOLERANCES[quantise]
    if parity.agreement >= limit.agreement and parity.difference <= limit.difference:
        return
    remedy = "leave --quantise out or try float16" if quantise else "please report it with the run's design.json"
    raise UserError(
        f"{name} was not written, because it does not predict what the network predicts: {parity} (allowed: agreement "
        f"of {limit.agreement:.1%}, difference of {limit.difference:.1e}); {remedy}",
        1,
    )
