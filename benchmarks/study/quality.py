"""How well the surrogate of study.csv imitates the table.

    python benchmarks/study/quality.py                      # half a minute

Prints the noise of the surrogate and of repeated seeds, the variance that it predicts of designs that it has not seen
(ten folds over designs), how the devices differ relative to these predictions, and the rank correlation of each epoch's
accuracy with the last one over the uniform designs, in the table and on the surrogate.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "numpy"
STUDY = Path(__file__).resolve().parent
sys.path[:0] = [str(STUDY.parent), str(STUDY)]

import keras_tuner as kt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from surrogate import Surrogate  # noqa: E402

from fer_search.space import load_space  # noqa: E402

FOLDS, SAMPLES = 10, 20


def predict_unseen(table: pd.DataFrame, choices: kt.HyperParameters, whole: Surrogate) -> np.ndarray:
    """Return the last accuracy of each row as predicted by a surrogate of the other folds' designs, float (rows,)."""
    predicted = np.empty(len(table))
    with tempfile.TemporaryDirectory() as folder:
        for fold in range(FOLDS):
            out = (table["design"] % FOLDS == fold).to_numpy()
            part = Path(folder) / "part.csv"
            table[~out].to_csv(part, index=False)
            unseen = [whole.designs[k] for k in np.flatnonzero(out)]
            predicted[out] = Surrogate(part, choices).mean_curves(unseen)[:, -1]
    return predicted


def rank_correlations(curves: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each epoch with the last one, float (epochs,)."""
    return pd.DataFrame(curves).corr("spearman").to_numpy()[-1]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    choices = load_space(STUDY / "space.py").choices()
    table, surrogate = pd.read_csv(STUDY / "study.csv"), Surrogate(STUDY / "study.csv", choices)
    columns = [f"val_acc_{epoch}" for epoch in range(1, surrogate.epochs + 1)]
    last = table[columns[-1]]
    repeated = table["design"].duplicated(keep=False)
    within = (last - last.groupby(table["design"]).transform("mean"))[repeated]
    seeds = np.sqrt(np.square(within).sum() / (repeated.sum() - table["design"][repeated].nunique()))
    noise = np.linalg.norm(surrogate.noise[-1])
    print(f"{len(table)} rows, {table['design'].nunique()} designs, {(repeated & (table['seed'] == 0)).sum()} repeated")
    print(f"noise of the last epoch: surrogate {100 * noise:.1f} points, seeds {100 * seeds:.1f}")

    residual = last - predict_unseen(table, choices, surrogate)
    print(f"variance of unseen designs predicted: {100 * (1 - residual.var() / last.var()):.0f}%")
    by_design = residual.groupby([table["device"], table["design"]]).mean().groupby("device")
    mean, error = by_design.mean(), by_design.std() / np.sqrt(by_design.size())
    print(
        f"{mean.index[1]} minus {mean.index[0]}: {100 * mean.diff().iloc[1]:.1f} +- {196 * np.hypot(*error):.1f} points"
    )

    uniform = table[(table["origin"] == "uniform") & (table["seed"] == 0)]
    curves, rng = surrogate.mean_curves([surrogate.designs[k] for k in uniform.index]), np.random.default_rng(0)
    drawn = [curves + rng.normal(size=curves.shape) @ surrogate.noise.T for _ in range(SAMPLES)]
    imitated = np.mean([rank_correlations(sample) for sample in drawn], axis=0)
    print(f"rank correlation with the last epoch, {len(uniform)} uniform designs:")
    print("  table    ", *(f"{value:.2f}" for value in rank_correlations(uniform[columns].to_numpy())))
    print("  surrogate", *(f"{value:.2f}" for value in imitated))


if __name__ == "__main__":
    main()
