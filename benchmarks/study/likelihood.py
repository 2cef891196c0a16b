"""Constants of the guided tuner's model that make a recorded table likeliest.

    python benchmarks/study/likelihood.py                   # both tables; two minutes on two CPU cores

The model is that of ``fer_search/search/proposing/learning_curves.py``, conditioned on nothing: its kernel gives the
probability of the recorded accuracies after 1, 3 and 9 epochs, which is maximised over the constants and the scale of
the accuracies. A lognormal prior of one unit around the constants as they were keeps what the table says nothing about
where it is.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "numpy"
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "2")
STUDY = Path(__file__).resolve().parent
sys.path[:0] = [str(STUDY.parent), str(STUDY)]

import common  # noqa: E402
import numpy as np  # noqa: E402
from scipy.linalg import cho_factor, cho_solve  # noqa: E402
from scipy.optimize import minimize  # noqa: E402
from surrogate import parse  # noqa: E402

from fer_search.search.proposing import learning_curves as model  # noqa: E402
from fer_search.search.proposing.encoding import Encoding  # noqa: E402
from fer_search.space import load_space  # noqa: E402

TABLES = {"micro_table.csv": "micro_space.py", "study.csv": "space.py"}
RUNGS = (1, 3, 9)
BEFORE = {"EFFECT_LENGTH": 0.7, "INTERACTION_LENGTH": 0.38, "EFFECTS": 0.7, "OWN": 0.05, "SEED": 0.1, "GROWTH": 0.25}
BEFORE |= {"DECORRELATION": 0.15, "LAST_NOISE": 0.08, "FIRST_NOISE": 0.3}
SCALE = 0.05


class Table:
    """The accuracies of a table, one per training run and rung.

    Attributes:
        features: From ``Encoding.features``, one row per accuracy.
        design: Int (n,), index of the design.
        run: Int (n,), index of the training run.
        fraction: Float (n,), fraction of the epochs.
        score: Float (n,), best accuracy so far.
    """

    def __init__(self, table: str, space_file: str) -> None:
        with (STUDY / table).open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if not row.get("failed")]
        encoding = Encoding(load_space(STUDY / space_file).choices().space)
        values = [{c.name: parse(c, row[c.name]) for c in encoding.free if row[c.name] != ""} for row in rows]
        encoded = encoding.snap(np.stack([encoding.row(value) for value in values]))
        _, designs = np.unique(np.round(encoded, 6), axis=0, return_inverse=True)
        curves = np.array([[float(row[f"val_acc_{epoch}"]) for epoch in range(1, RUNGS[-1] + 1)] for row in rows])
        best = np.maximum.accumulate(curves, axis=1)
        self.run = np.tile(np.arange(len(rows)), len(RUNGS))
        self.design = designs.reshape(-1)[self.run]
        self.features = [feature[self.run] for feature in encoding.features(encoded)]
        self.fraction = np.repeat([rung / RUNGS[-1] for rung in RUNGS], len(rows))
        self.score = np.concatenate([best[:, rung - 1] for rung in RUNGS])

    def unlikelihood(self, point: np.ndarray) -> float:
        """Return minus the logarithm of the likelihood times the prior, at constants that ``pack`` packed."""
        constants, scale = unpack(point)
        for name, value in constants.items():
            setattr(model, name, value)
        with np.errstate(all="ignore"):
            together = model._together(self.fraction, self.fraction)
            same_design = constants["OWN"] * (self.design[:, None] == self.design)
            same_run = constants["SEED"] * (self.run[:, None] == self.run)
            kernel = (model._smooth(self.features, self.features) + same_design + same_run) * together
            kernel += model._levels(self.fraction, self.fraction)
            noise = constants["LAST_NOISE"] + constants["FIRST_NOISE"] * (1 - self.fraction) ** 2
            cholesky = cho_factor(kernel + np.diag(noise + 1e-8), lower=True)
        centred = (self.score - self.score.mean()) / scale
        misfit = 0.5 * centred @ cho_solve(cholesky, centred) + np.log(np.diag(cholesky[0])).sum()
        prior = 0.5 * np.square(point - pack(BEFORE, SCALE)).sum()
        return float(misfit + len(centred) * np.log(scale) + prior)


def pack(constants: dict[str, float], scale: float) -> np.ndarray:
    """Return logarithms; of EFFECTS, which is a fraction, the logit."""
    point = np.log([*constants.values(), scale])
    k = list(constants).index("EFFECTS")
    point[k] -= np.log1p(-constants["EFFECTS"])
    return point


def unpack(point: np.ndarray) -> tuple[dict[str, float], float]:
    """Return the constants and the scale of the accuracies."""
    constants = dict(zip(BEFORE, np.exp(point[:-1]), strict=True))
    constants["EFFECTS"] /= 1 + constants["EFFECTS"]
    return constants, float(np.exp(point[-1]))


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    columns = {"chosen": [getattr(model, name) for name in BEFORE], "before": list(BEFORE.values())}
    for name, space_file in TABLES.items():
        table = Table(name, space_file)
        found = minimize(table.unlikelihood, pack(BEFORE, SCALE), method="L-BFGS-B", options={"maxiter": 25})
        constants, scale = unpack(found.x)
        common.say(f"{name}: {len(table.score)} accuracies, standard deviation {100 * scale:.1f} points")
        columns[name] = list(constants.values())
    table = common.Table("The model's constants", ["", *columns])
    table.rows = [[name, *(f"{values[k]:.2g}" for values in columns.values())] for k, name in enumerate(BEFORE)]
    print(table.markdown())


if __name__ == "__main__":
    main()
