"""Does the report find the one choice that matters?

20 cases of 60 trials as Hyperband leaves them, eight choices of which one is worth 5 points, another seed and the
validation images worth 1.4 points of noise; and 20 cases in which no choice does anything. For each: the choice that
the report's importances put first, or "inconclusive". The promise: with a choice planted, it is first or the answer is
"inconclusive" in at least 18 of 20; with none planted, inconclusive in at least 18 of 20.

    python benchmarks/importance.py              # about a minute on two CPU cores
    python benchmarks/importance.py --cases 200  # the same, surer

Beside it, the impurity importances of a forest of scikit-learn's over the same trials at the same epochs, and over all
trials' best accuracies whatever their epochs, as dashboards show them.
"""

from __future__ import annotations

from typing import NamedTuple

import common
import numpy as np
import pandas as pd

from fer_search.report.statistics.budgets import at_epochs, varied
from fer_search.report.statistics.importance import importances, is_first
from fer_search.runfolder.choices import Choice

POINTS, NOISE = 0.05, 0.014
BRACKETS = (((27, 3), (9, 7), (3, 20)), ((12, 7), (4, 20)), ((5, 20),))  # trials and last epoch of each rung
CHOICES = (
    Choice("downsample", "Choice", ("max_pool", "strided")),
    Choice("cutout", "Choice", (0, 8, 16)),
    Choice("mixup", "Choice", (0.0, 0.3, 1.0)),
    Choice("flip", "Boolean", (False, True)),
    Choice("blocks", "Int", (1, 2, 3)),
    Choice("rate", "Float", log=True),
    Choice("dropout", "Float"),
    Choice("pool_size", "Choice", (2, 3), conditions=((("downsample", ("max_pool",)),),)),
)


class Case(NamedTuple):
    """A search with a known answer: tables as ``load_trials`` and ``load_epochs`` give, and the planted choice."""

    trials: pd.DataFrame
    curves: pd.DataFrame
    planted: str | None


def make_case(seed: int, planted: str | None) -> Case:
    """Make up a search.

    Args:
        seed: of it.
        planted: the choice that is worth ``POINTS`` from its lowest to its highest value; None for none.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict] = []
    curves: list[pd.DataFrame] = []
    for bracket in BRACKETS:
        known: list[tuple[dict, np.ndarray, str]] = []
        start = 0
        for count, end in bracket:
            known.sort(key=lambda one: -one[1][start - 1] if start else 0)
            before, known = known, []
            for k in range(count):
                values, curve, parent = before[k] if before else (*_design(rng, planted), None)
                trial = f"{len(rows):04d}"
                rows.append({"trial": trial, "values": values, "accuracy": curve[:end].max(), "parent": parent})
                epochs = np.arange(1, end + 1)
                table = {"trial": trial, "epoch": epochs, "inherited": epochs <= start, "val_accuracy": curve[:end]}
                curves.append(pd.DataFrame(table))
                known.append((values, curve, trial))
            start = end
    table = pd.DataFrame([{f"choice.{k}": v for k, v in row.pop("values").items()} | row for row in rows])
    successor = {row["parent"]: row["trial"] for row in rows if row["parent"]}
    table = table.assign(order=range(1, len(table) + 1), status="completed", went_on_as=table["trial"].map(successor))
    return Case(table, pd.concat(curves, ignore_index=True), planted)


def _design(rng: np.random.Generator, planted: str | None) -> tuple[dict, np.ndarray]:
    """Return a random design and its learning curve."""
    values: dict = {}
    limit = 0.6 + rng.normal(0, NOISE * 0.7)  # what another seed changes
    for choice in CHOICES:
        if not choice.active(values):
            continue
        place = rng.random()
        if choice.values:
            k = rng.integers(len(choice.values))
            values[choice.name], place = choice.values[k], k / (len(choice.values) - 1)
        else:
            values[choice.name] = 10 ** (4 * place - 5) if choice.log else 0.5 * place
        limit += POINTS * (place - 0.5) * (choice.name == planted)
    epochs = np.arange(1, 21)
    noise = rng.normal(0, NOISE * 0.7, len(epochs))  # what the validation images and the epoch change
    return values, 0.2 + (limit - 0.2) * (1 - np.exp(-epochs / 4)) + noise


def ours(case: Case) -> str:
    """Return the choice that the report calls the most important, or "inconclusive"; with "?" where it is not sure."""
    compared = at_epochs(case.trials, case.curves)
    table = importances(compared, varied(compared.trials, CHOICES))
    if table.empty or table["verdict"].iloc[0] != "matters":
        return "inconclusive"
    return table["choice"].iloc[0] + ("" if is_first(table) else "?")


def forest(trials: pd.DataFrame) -> str:
    """Return the choice with the highest impurity importance in a forest of scikit-learn's."""
    from sklearn.ensemble import RandomForestRegressor

    names = [name for name in trials.columns if name.startswith("choice.")]
    columns = [trials[name] if trials[name].dtype.kind in "fi" else pd.factorize(trials[name])[0] for name in names]
    x = np.nan_to_num(np.array(columns, float).T, nan=-1)
    model = RandomForestRegressor(64, random_state=0).fit(x, trials["accuracy"])
    return names[int(model.feature_importances_.argmax())].removeprefix("choice.")


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--cases", type=int, help="of each kind (default: 20)")
    options = parser.parse_args()
    count = options.cases or (4 if options.quick else 20)
    counts = dict.fromkeys(("first", "first?", "inconclusive", "wrong", "equal epochs", "any epochs"), 0)
    for seed in range(count):
        case = make_case(seed, CHOICES[seed % (len(CHOICES) - 1)].name)  # pool_size is active in half of the trials
        found = ours(case)
        kind = found if found == "inconclusive" else "first" if found.rstrip("?") == case.planted else "wrong"
        counts[kind + ("?" if kind == "first" and found.endswith("?") else "")] += 1
        counts["equal epochs"] += forest(at_epochs(case.trials, case.curves).trials) == case.planted
        counts["any epochs"] += forest(case.trials) == case.planted
    none = [ours(make_case(1000 + seed, None)) for seed in range(count)].count("inconclusive")
    table = common.Table(
        f"The choice that matters: {count} cases of 60 trials with one planted, {count} with none",
        ["", "the planted one first", "inconclusive", "another one first"],
    )
    sure, unsure = counts["first"], counts["first?"]
    surely = f"{sure + unsure} ({sure} surely)"
    table.rows.append(["one planted, ours", surely, str(counts["inconclusive"]), str(counts["wrong"])])
    for name in ("equal epochs", "any epochs"):
        right = counts[name]
        table.rows.append([f"one planted, a forest at {name}", str(right), "0", str(count - right)])
    table.rows.append(["none planted, ours", "-", str(none), str(count - none)])
    common.report(options, [table], counts | {"inconclusive without": none})


if __name__ == "__main__":
    main()
