"""How much of the differences between trials each choice explains, and each pair beyond its two choices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from fer_search.report.statistics.additive import Fit, fits, invert
from fer_search.report.statistics.budgets import Comparison, bins
from fer_search.report.statistics.inference import holm
from fer_search.runfolder.choices import Choice

DRAWS = 400  # of the bootstrap
MOST_TRIALS = 2000  # that the bootstrap uses; of more, every so many by rank
LITTLE = 0.02  # a choice that surely explains less than this share is said to matter little
FIRST = 0.9  # share of draws in which the first choice must come first to be called so


def importances(compared: Comparison, choices: Sequence[Choice], level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Estimate each choice's importance: the share of the variance of accuracy that it explains.

    The functional ANOVA's main effects (Hutter, Hoos & Leyton-Brown 2014), from the additive model of
    ``fer_search.report.statistics.additive`` instead of a forest: with tens of trials a forest gives choices without any effect up
    to 0.3 of the importance. What noise alone would explain is taken off, so
    the shares of choices without effect lie around zero; what all leave over is noise, seeds and interactions.

    Args:
        compared: trials of equal budget, from ``compare.at_epochs``.
        choices: the choices that varied, from ``compare.varied``.
        level: confidence.
        seed: of the bootstrap.

    Returns:
        One row a choice, the most important first, with the columns ``choice``, ``share``, ``low`` and ``high`` (its
        interval: Bayesian bootstrap over the trials, Rubin 1981), ``chance`` (the inconclusive zone ends there: up to
        that share, it may be noise), ``p`` (of no effect, F test, Holm's correction), ``first`` (share of the bootstrap
        draws in which it came first) and ``verdict``: "matters", "little" or "inconclusive".
    """
    found = fits(compared.trials, choices, compared.trials[["accuracy"]].to_numpy(float))
    columns = ["choice", "share", "low", "high", "chance", "p", "first", "verdict"]
    if not found:
        return pd.DataFrame(columns=columns)
    rng = np.random.default_rng(seed)
    draws = _draws(found, rng)
    low, high = np.quantile(np.clip(draws, 0, 1), [(1 - level) / 2, (1 + level) / 2], axis=1)
    table = pd.DataFrame({"choice": [fit.terms[at].choice.name for fit, at in found]})
    table["share"] = [max(0.0, _share(fit, at)) for fit, at in found]
    table["low"], table["high"] = np.minimum(low, table["share"]), np.maximum(high, table["share"])
    table["p"] = holm(np.array([_p_value(fit, at) for fit, at in found]))
    # Holm's step at which the first choice was not rejected, the same as the verdicts' where each is tested at it
    alpha = (1 - level) / max(1, int((table["p"] >= 1 - level).sum()))
    table["chance"] = [_chance(fit, at, alpha) for fit, at in found]
    table["first"] = np.bincount(draws.argmax(axis=0), minlength=len(found)) / draws.shape[1]
    little = table["high"] < LITTLE
    table["verdict"] = np.where(table["p"] < 1 - level, "matters", np.where(little, "little", "inconclusive"))
    return table.sort_values(["share", "first"], ascending=False, ignore_index=True)[columns]


def conclusion(table: pd.DataFrame) -> str:
    """Return in a sentence what the importances say.

    Args:
        table: from ``importances``.
    """
    from fer_search.report.formatting import label

    if table.empty:
        return "Too few trials of equal budget to say which choice matters."
    matters = [label(name) for name in table.loc[table["verdict"] == "matters", "choice"]]
    if not matters:
        return "Inconclusive: no choice's effect stands out from the noise yet."
    if len(matters) == 1 and is_first(table):
        return f"Most important: {matters[0]}; no other choice's effect stands out from the noise."
    if is_first(table):
        return f"Most important: {matters[0]}; then {', '.join(matters[1:])}."
    return f"These matter: {', '.join(matters)}. Which of the choices matters most cannot be told yet."


def is_first(table: pd.DataFrame) -> bool:
    """Whether the first choice of ``importances`` is surely the most important one."""
    return bool(len(table) and table["verdict"].iloc[0] == "matters" and table["first"].iloc[0] >= FIRST)


def pairs(compared: Comparison, choices: Sequence[Choice], level: float = 0.95) -> pd.DataFrame:
    """Estimate what each two choices explain together beyond what each explains alone.

    From the means of what the additive model leaves over in each pair's cells; numbers in up to three ranges.

    Args:
        compared: trials of equal budget, from ``compare.at_epochs``.
        choices: the choices that varied.
        level: confidence.

    Returns:
        One row a pair, the strongest first: ``choice``, ``other``, ``share`` of the variance of accuracy, ``p`` (Holm's
        correction) and ``verdict``: "matters" or "inconclusive".
    """
    from scipy.special import fdtrc

    found = fits(compared.trials, choices, compared.trials[["accuracy"]].to_numpy(float))
    columns = ["choice", "other", "share", "p", "verdict"]
    if len(found) < 2 or len(found[0][0].terms) != len(found):
        return pd.DataFrame(columns=columns)
    model = found[0][0]
    left = (model.y - model.x @ model.coefficients)[:, 0]
    total = ((model.y - model.y.mean()) ** 2).sum() + model.variance[0]
    rows, places = [], [_places(compared.trials, term.choice) for term in model.terms]
    for (a, first), (b, second) in combinations(enumerate(places), 2):
        squares, dof = _cells(left, first, second)
        residual_dof = model.residual_dof - dof
        if dof < 1 or residual_dof < 3:
            continue
        noise = (model.variance[0] * model.residual_dof - squares) / residual_dof
        p = float(fdtrc(dof, residual_dof, squares / dof / noise)) if noise > 0 else 1.0
        share = max(0.0, (squares - dof * noise) / total)
        rows.append((model.terms[a].choice.name, model.terms[b].choice.name, share, p))
    table = pd.DataFrame(rows, columns=columns[:4])
    table["p"] = holm(table["p"].to_numpy(float))
    table["verdict"] = np.where(table["p"] < 1 - level, "matters", "inconclusive")
    return table.sort_values(["p", "share"], ascending=[True, False], ignore_index=True)


def _share(fit: Fit, at: int) -> float:
    """Return the variance of a term over the trials, less what noise puts into it, as a share of all variance."""
    here, total = fit.slices[at], fit.y[:, 0].var(ddof=1)
    spread = fit.x[:, here].T @ fit.x[:, here] / len(fit.y)
    b = fit.coefficients[here, 0]
    chance = fit.variance[0] * np.trace(spread @ fit.inverse[here, here])
    return float((b @ spread @ b - chance) / total) if total > 0 else 0.0


def _squares(coefficients: np.ndarray, inverse: np.ndarray, at: slice) -> tuple[float, int]:
    """Return the sum of squares that would be lost without a term, and its degrees of dof."""
    b = coefficients[at, 0]
    return float(b @ np.linalg.solve(inverse[at, at], b)), len(b)


def _p_value(fit: Fit, at: int) -> float:
    from scipy.special import fdtrc

    squares, dof = _squares(fit.coefficients, fit.inverse, fit.slices[at])
    return float(fdtrc(dof, fit.residual_dof, squares / dof / fit.variance[0])) if fit.variance[0] > 0 else 0.0


def _chance(fit: Fit, at: int, alpha: float) -> float:
    """Return the share that a term would need for a p-value of ``alpha``, its effect being of the form it has."""
    from scipy.special import fdtri

    here, total = fit.slices[at], len(fit.y) * fit.y[:, 0].var(ddof=1)
    squares, dof = _squares(fit.coefficients, fit.inverse, here)
    if not total > 0 or not squares > 0:
        return 0.0
    gram = fit.x[:, here].T @ fit.x[:, here]
    b = fit.coefficients[here, 0]
    needed = fdtri(dof, fit.residual_dof, 1 - alpha) * dof * fit.variance[0]
    chance = fit.variance[0] * np.trace(gram @ fit.inverse[here, here])
    return float(np.clip((b @ gram @ b / squares * needed - chance) / total, 0, 1))


def _draws(found: list[tuple[Fit, int]], rng: np.random.Generator) -> np.ndarray:
    """Return every choice's share in each draw of the bootstrap, (choices, DRAWS)."""
    shared = found[0][0] if len(found[0][0].terms) == len(found) else None
    if shared is not None:
        return _bootstrap(shared, rng)
    return np.concatenate([_bootstrap(fit, rng) for fit, _ in found])


def _bootstrap(fit: Fit, rng: np.random.Generator) -> np.ndarray:
    every = max(1, -(-len(fit.y) // MOST_TRIALS))
    x, y = fit.x[::every], fit.y[::every, 0]
    n, p = x.shape
    weights = rng.standard_exponential((DRAWS, n))
    weights *= n / weights.sum(axis=1, keepdims=True)
    outer = (x[:, :, None] * x[:, None, :]).reshape(n, p * p)
    gram = (weights @ outer).reshape(DRAWS, p, p)
    inverse, gram = invert(gram), gram / n
    moments = weights @ (x * y[:, None])
    coefficients = np.einsum("dij,dj->di", inverse, moments)
    mean, squares = weights @ y / n, weights @ (y * y)
    total = np.maximum(squares - n * mean * mean, 1e-300) / (n - 1)
    noise = np.maximum(squares - (coefficients * moments).sum(axis=1), 0) / max(n - p, 1)
    shares = []
    for at in fit.slices:
        b, spread, inside = coefficients[:, at], gram[:, at, at], inverse[:, at, at]
        # chance is taken off twice: once as in the estimate, once for what the bootstrap itself adds
        chance = noise * np.einsum("dij,dji->d", spread, inside)
        shares.append((np.einsum("di,dij,dj->d", b, spread, b) - 2 * chance) / total)
    return np.array(shares)


def _places(trials: pd.DataFrame, choice: Choice) -> np.ndarray:
    places = bins(trials, choice, 3)[1]
    return np.where(np.isnan(places), -1, places).astype(int)


def _cells(left: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, int]:
    """Return the squares that the cells' means explain, and the degrees of dof beyond the margins'."""
    active = (first >= 0) & (second >= 0)
    a, b, left = first[active], second[active], left[active]
    if not len(left):
        return 0.0, 0
    cell = a * (b.max() + 1) + b
    counts, sums = np.bincount(cell), np.bincount(cell, left)
    filled = counts > 0
    dof = int(filled.sum()) - len(np.unique(a)) - len(np.unique(b)) + 1
    return float((sums[filled] ** 2 / counts[filled]).sum()), dof
