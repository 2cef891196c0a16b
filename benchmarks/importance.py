"""Does the report find the choices that matter, and only those?

Simulated searches with a known answer, over designs as in Hyperband: most stop at the first rung, the best ones are
promoted, and the values are unevenly sampled and confounded with each other.

1. A choice without effect is reported as significant in at most 5% of the searches, at 10, 30, 100 and 300 trials (with
   no effects at all, and with another choice worth 5 points), and over the designs of results/report_search_cpu.
2. The variance shares sum to at most 100%.
3. One choice worth 5 points is ranked first in at least 18 of 20 searches of 60 trials.

    python benchmarks/importance.py              # some minutes on two CPU cores
    python benchmarks/importance.py --cases 200  # the same with a smaller standard error

The noise has a standard deviation of 1 point between seeds and 1 point between epochs, about that of 2,870 validation
images and of another seed. An effect grows with the epochs: 71% of it shows after 5 of 20. For comparison: a separate
test of each choice on the trials of one budget, and the impurity importances of a random forest over all trials' best
accuracies, as shown by dashboards.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import common
import numpy as np
import pandas as pd

from fer_search.report.statistics.importance import MATTERS, importances
from fer_search.report.statistics.measurements import gather_measurements
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.choices import Choice

POINTS, SEED_NOISE, EPOCH_NOISE = 0.05, 0.01, 0.01
EPOCHS = 20
RUNGS = (3, 7, EPOCHS)  # last epoch of each rung
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
FEW = (CHOICES[0], CHOICES[5])  # as many choices as ten trials can separate
REAL = common.ROOT / "results" / "report_search_cpu"


class Case(NamedTuple):
    """A search with a known answer: the tables of ``load_trials`` and ``load_epochs``, and the planted choice."""

    trials: pd.DataFrame
    curves: pd.DataFrame
    planted: str | None


def brackets(trials: int) -> list[list[tuple[int, int]]]:
    """Return Hyperband brackets for about this many trials, with the number of trials and last epoch of each rung."""
    result: list[list[tuple[int, int]]] = []
    left = trials
    while left > 0:
        first = min(27, max(1, round(left * 0.7)))
        sizes = [size for size in (first, first // 3, first // 9) if size]
        result.append(list(zip(sizes, RUNGS[3 - len(sizes) :] if len(result) % 2 else RUNGS, strict=False)))
        left -= sum(sizes)
    return result


def make_case(seed: int, planted: str | None, trials: int = 60, choices: Sequence[Choice] = CHOICES) -> Case:
    """Simulate a search.

    Args:
        seed: Random seed.
        planted: Choice that is worth ``POINTS`` from its lowest to its highest value, or None.
        trials: Approximate number of trials.
        choices: Choices of the space.
    """
    rng = np.random.default_rng(seed)
    skew = {choice.name: rng.dirichlet(np.full(max(len(choice.values), 1), 2.0)) for choice in choices}
    rows: list[dict] = []
    curves: list[pd.DataFrame] = []
    for bracket in brackets(trials):
        known: list[tuple[dict, np.ndarray, str]] = []
        start = 0
        for count, end in bracket:
            known.sort(key=lambda design: -design[1][start - 1] if start else 0)
            before, known = known, []
            for index in range(count):
                values, curve, parent = before[index] if before else (*_design(rng, planted, choices, skew), None)
                trial = f"{len(rows):04d}"
                rows.append({"trial": trial, "values": values, "accuracy": curve[:end].max(), "parent": parent})
                epochs = np.arange(1, end + 1)
                table = {"trial": trial, "epoch": epochs, "inherited": epochs <= start, "val_accuracy": curve[:end]}
                curves.append(pd.DataFrame(table))
                known.append((values, curve, trial))
            start = end
    table = pd.DataFrame([{f"{CHOICE}{k}": v for k, v in row.pop("values").items()} | row for row in rows])
    successor = {row["parent"]: row["trial"] for row in rows if row["parent"]}
    table = table.assign(order=range(1, len(table) + 1), status="completed", went_on_as=table["trial"].map(successor))
    return Case(table, pd.concat(curves, ignore_index=True), planted)


def _design(
    rng: np.random.Generator, planted: str | None, choices: Sequence[Choice], skew: dict[str, np.ndarray]
) -> tuple[dict, np.ndarray]:
    """Return a random design, with unevenly frequent and confounded values, and its learning curve."""
    values: dict = {}
    effect, last = 0.0, rng.random()
    for choice in choices:
        if not choice.active(values):
            continue
        place = last if rng.random() < 0.4 else rng.random()  # confounded with the previous choice
        last = place
        if choice.values:
            index = min(int(np.searchsorted(np.cumsum(skew[choice.name]), place)), len(choice.values) - 1)
            values[choice.name], place = choice.values[index], index / (len(choice.values) - 1)
        else:
            values[choice.name] = 10 ** (4 * place - 5) if choice.log else 0.5 * place
        effect += POINTS * (place - 0.5) * (choice.name == planted)
    return values, _curve(rng, effect)


def _curve(rng: np.random.Generator, effect: float, epochs: int = EPOCHS) -> np.ndarray:
    """Return the validation accuracies per epoch of a design that is better by ``effect`` at the end."""
    limit = 0.6 + effect + rng.normal(0, SEED_NOISE)
    growth = 1 - np.exp(-np.arange(1, epochs + 1) / (epochs / 5))
    return 0.2 + (limit - 0.2) * growth + rng.normal(0, EPOCH_NOISE, epochs)


def real_case(seed: int, planted: str | None, run: Path = REAL) -> tuple[Case, tuple[Choice, ...]]:
    """Return the designs, rungs and epochs of a real search with simulated accuracies."""
    from fer_search.report import load_epochs, load_run, load_trials
    from fer_search.report.tables.designs import design_keys

    rng = np.random.default_rng(seed)
    trials, curves, choices = load_trials(run), load_epochs(run), load_run(run).choices
    last = int(curves["epoch"].max())
    levels = sorted(trials[CHOICE + planted].dropna().unique()) if planted else []
    made: dict[int, np.ndarray] = {}
    keys = dict(zip(trials["trial"], design_keys(trials), strict=True))
    for key, (_, row) in zip(keys.values(), trials.iterrows(), strict=True):
        place = levels.index(row[CHOICE + planted]) / (len(levels) - 1) if planted else 0.5
        made.setdefault(key, _curve(rng, POINTS * (place - 0.5), last))
    accuracy = [made[keys[trial]][epoch - 1] for trial, epoch in zip(curves["trial"], curves["epoch"], strict=True)]
    return Case(trials, curves.assign(val_accuracy=accuracy), planted), choices


def ours(case: Case, choices: Sequence[Choice]) -> pd.DataFrame:
    """Return the report's importances."""
    varied = [choice for choice in choices if case.trials[CHOICE + choice.name].nunique() > 1]
    return importances(gather_measurements(case.trials, case.curves), varied)


def one_by_one(case: Case, choices: Sequence[Choice]) -> dict[str, float]:
    """Return each choice's p-value in a separate Kruskal-Wallis test on the trials of one budget."""
    from scipy.stats import kruskal

    reached = case.curves.groupby("trial")["epoch"].max()
    budget = reached.sort_values().iloc[-max(8, len(reached) // 3)]
    best = case.curves[case.curves["epoch"] <= budget].groupby("trial")["val_accuracy"].max()
    table = case.trials[case.trials["trial"].map(reached).ge(budget) & case.trials["went_on_as"].isna()]
    accuracy = table["trial"].map(best).to_numpy(float)
    p = {}
    for choice in choices:
        column = table[CHOICE + choice.name]
        groups = pd.qcut(column, 3, labels=False, duplicates="drop") if not choice.values else column.astype(str)
        parts = [accuracy[(groups == value).to_numpy(bool)] for value in groups.dropna().unique()]
        parts = [part for part in parts if len(part)]
        p[choice.name] = float(kruskal(*parts).pvalue) if len(parts) > 1 and len(accuracy) > 3 else 1.0
    return p


def forest(trials: pd.DataFrame) -> str:
    """Return the choice with the highest impurity importance in a scikit-learn random forest."""
    from sklearn.ensemble import RandomForestRegressor

    names = [name for name in trials.columns if name.startswith(CHOICE)]
    columns = [trials[name] if trials[name].dtype.kind in "fi" else pd.factorize(trials[name])[0] for name in names]
    x = np.nan_to_num(np.array(columns, float).T, nan=-1)
    model = RandomForestRegressor(64, random_state=0).fit(x, trials["accuracy"])
    return names[int(model.feature_importances_.argmax())].removeprefix(CHOICE)


class Errors(NamedTuple):
    """Counts over searches.

    Attributes:
        judged: Searches with enough designs.
        searches: Searches in which any choice without effect is reported as significant.
        tests: Fraction of all choices without effect that are reported as significant.
        planted: Searches in which the planted choice is reported as significant.
        shares: Largest sum of variance shares.
    """

    judged: int
    searches: int
    tests: float
    planted: int
    shares: float


def errors(cases: Sequence[tuple[Case, Sequence[Choice]]]) -> Errors:
    """Count the choices that are wrongly reported as significant."""
    searches = tested = wrong = planted = judged = 0
    shares = 0.0
    for case, choices in cases:
        table = ours(case, choices)
        if table.empty:
            continue
        judged += 1
        null = table[table["choice"] != case.planted]
        matter = int((null["verdict"] == MATTERS).sum())
        searches, wrong, tested = searches + (matter > 0), wrong + matter, tested + len(null)
        planted += int((table.loc[table["choice"] == case.planted, "verdict"] == MATTERS).any())
        shares = max(shares, float(table["share"].sum()))
    return Errors(judged, searches, wrong / max(tested, 1), planted, shares)


def null_table(count: int) -> tuple[common.Table, dict[str, float]]:
    """Return how often a choice without effect is reported as significant."""
    heads = ["", "enough designs", "any false positive", "false positives of all choices", "planted one significant"]
    table = common.Table(f"Choices without effect: {count} searches per setting", heads)
    worst, largest_sum = 0.0, 0.0
    kinds: list[tuple[str, list[tuple[Case, Sequence[Choice]]]]] = []
    for trials in (10, 30, 100, 300):
        choices = FEW if trials == 10 else CHOICES[:6] if trials == 30 else CHOICES
        for planted in (None, "downsample"):
            name = f"{trials} trials, {len(choices)} choices, {'one' if planted else 'none'} planted"
            kinds.append((name, [(make_case(seed, planted, trials, choices), choices) for seed in range(count)]))
    if REAL.exists():
        kinds.append(
            (f"the designs of {REAL.name}, blocks planted", [real_case(seed, "blocks") for seed in range(count)])
        )
    for name, cases in kinds:
        common.say(name)
        counted = errors(cases)
        planted = str(counted.planted) if cases[0][0].planted else "-"
        rate = f"{counted.searches} ({counted.searches / max(counted.judged, 1):.1%})"
        table.rows.append([name, str(counted.judged), rate, f"{counted.tests:.1%}", planted])
        worst, largest_sum = max(worst, counted.searches / max(counted.judged, 1)), max(largest_sum, counted.shares)
    return table, {"worst": worst, "shares": largest_sum}


def first_table(count: int) -> tuple[common.Table, dict[str, float]]:
    """Return how often the planted choice is ranked first."""
    table = common.Table(
        f"One of eight choices worth 5 points: {count} searches of 60 trials",
        ["", "planted choice ranked first", "planted one significant", "another one significant"],
    )
    first = matters = others = alone = wrong = trees = 0
    for seed in range(count):
        case = make_case(500 + seed, CHOICES[seed % 7].name)  # pool_size is active in half of the designs
        ranked = ours(case, CHOICES)
        first += int(ranked["choice"].iloc[0] == case.planted)
        matters += int((ranked.loc[ranked["choice"] == case.planted, "verdict"] == MATTERS).any())
        others += int((ranked.loc[ranked["choice"] != case.planted, "verdict"] == MATTERS).any())
        p = one_by_one(case, CHOICES)
        alone += int(min(p, key=lambda name: p[name]) == case.planted)
        wrong += int(any(value < 0.05 for name, value in p.items() if name != case.planted))
        trees += int(forest(case.trials) == case.planted)
    table.rows.append(["joint model of all budgets (the report's)", str(first), str(matters), str(others)])
    table.rows.append(["separate tests, trials of one budget", str(alone), "-", str(wrong)])
    table.rows.append(["random forest, all trials' best accuracies", str(trees), "-", "-"])
    return table, {"first": first, "first of": count}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--cases", type=int, help="searches per setting (default: 100)")
    options = parser.parse_args()
    count = options.cases or (6 if options.quick else 100)
    null, worst = null_table(count)
    planted, first = first_table(20 if options.quick else max(60, count // 2))
    common.report(options, [null, planted], worst | first)


if __name__ == "__main__":
    main()
