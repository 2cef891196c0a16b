"""What a search gained over its baselines, after correction for having picked the best of many noisy scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from fer_search.search.proposing.safe_oracle import SafeOracle
from fer_search.tuner_entries import EPOCHS, PARENT

SMALL_GAIN = 0.01  # in accuracy; less is not worth another search
SEEDS = 3  # trainings of each of two designs, in a confirmation


@dataclass(frozen=True)
class Gain:
    """The best proposal against the best baseline, both trained to the last epoch.

    Args:
        proposal: Trial of the best proposal.
        baseline: Trial of the best baseline.
        observed: Difference of their best validation accuracies.
        bias: How much the best of so many proposals is too high on average, less the same for the baselines that could
            have been the best; at least 0.
        error: Standard error of the difference.
        freedom: Degrees of freedom of ``error``; 0 where it was computed from the number of images.
        proposals: Number of proposals trained to the last epoch.
        repeated: Whether the noise was measured on repeated baselines, rather than computed from the number of images.
    """

    proposal: str
    baseline: str
    observed: float
    bias: float
    error: float
    freedom: int
    proposals: int
    repeated: bool

    @property
    def corrected(self) -> float:
        return self.observed - self.bias

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the corrected gain."""
        from scipy.special import stdtrit

        quantile = float(stdtrit(self.freedom, 0.975)) if self.freedom else NormalDist().inv_cdf(0.975)
        return self.corrected - quantile * self.error, self.corrected + quantile * self.error

    def describe(self, folder: object, baseline: str, confirm_seconds: str, recommended: str | None = None) -> str:
        """Return sentences for the end of a search.

        Args:
            folder: Run folder.
            baseline: Name of the best baseline.
            confirm_seconds: How long a confirmation takes, in words.
            recommended: Trial that the tuner recommends, if any.
        """
        corrected = self._describe_correction()
        best = f"the best of {self.proposals}" if self.proposals > 1 else "the only one trained for all epochs"
        trials = dict.fromkeys(int(trial) for trial in (recommended, self.proposal, self.baseline) if trial is not None)
        command = " ".join([f"fer-search confirm {folder}", *(f"--trial {trial}" for trial in trials)])
        if self.corrected <= 0:
            unlikely = self.interval[1] < SMALL_GAIN
            end = "Stopping costs nothing." if unlikely else "A gain of a point or more is neither shown nor ruled out."
            return (
                f"No proposal is better than the baseline {baseline}: {best}, trial {int(self.proposal)}, "
                f"is at {100 * self.observed:+.1f} points{corrected}. {end}"
            )
        return (
            f"Gain over the best baseline, {baseline}: {100 * self.observed:+.1f} points by trial "
            f"{int(self.proposal)}{corrected}. Not confirmed; {confirm_seconds}: {command}"
        )

    def _describe_correction(self) -> str:
        low, high = (100 * end for end in self.interval)
        noise = "between seeds" if self.repeated else "of the validation images alone"
        interval = f" (95% {low:+.1f} to {high:+.1f}, noise {noise})"
        if self.proposals == 1:
            return interval
        return f", {100 * self.corrected:+.1f} points after correction for the best of {self.proposals}{interval}"


def measure_gain(
    oracle: SafeOracle,
    names: Sequence[str],
    max_epochs: int,
    validation: int,
    repeats: int = 1,
    budgets: Mapping[str, int] | None = None,
) -> Gain | None:
    """Return the gain of a search; None without a fully trained baseline and proposal, or for another objective.

    Args:
        oracle: Knows the trials.
        names: Baseline names, in run order.
        max_epochs: Number of epochs of a full training.
        validation: Number of validation images.
        repeats: How often each baseline was trained.
        budgets: Trial -> its number of epochs, where the tuner chose none; all of ``max_epochs`` by default.
    """
    if oracle.objective.name != "val_accuracy" or not validation:
        return None
    scores = _full_scores(oracle, max_epochs, budgets or {})
    baselines = {trial: score for trial, score in scores.items() if first_trial(oracle, trial) < len(names)}
    proposals = {trial: score for trial, score in scores.items() if trial not in baselines}
    if not baselines or not proposals:
        return None
    means: dict[str, list[float]] = {}
    for trial, score in baselines.items():
        means.setdefault(names[first_trial(oracle, trial)], []).append(score)
    best_name = max(means, key=lambda name: float(np.mean(means[name])))
    baseline = max((t for t in baselines if names[first_trial(oracle, t)] == best_name), key=lambda t: baselines[t])
    proposal = max(proposals, key=lambda t: (proposals[t], -int(t)))
    deviation, freedom = _noise(list(means.values()), proposals[proposal], validation)
    trained, best_mean = len(means[best_name]), float(np.mean(means[best_name]))
    close = (
        2 * deviation * (2 / trained) ** 0.5
    )  # the others did not lose by bad luck, so that they raise no expectation
    rivals = sum(best_mean - float(np.mean(scores)) <= close for scores in means.values())
    bias = deviation * (_expected_maximum(len(proposals)) - _expected_maximum(rivals) / trained**0.5)
    return Gain(
        proposal=proposal,
        baseline=baseline,
        observed=proposals[proposal] - best_mean,
        bias=max(0.0, bias),
        error=deviation * (1 + 1 / trained) ** 0.5,
        proposals=len(proposals),
        repeated=freedom > 0,
        freedom=freedom,
    )


def trials_without_gain(oracle: SafeOracle, baselines: int) -> int:
    """Return how many proposed trials ended since the best score of all was reached."""
    sign = -1 if oracle.objective.direction == "min" else 1
    best, waited = float("-inf"), 0
    for trial_id in oracle.end_order:
        score = oracle.trials[trial_id].score
        if score is not None and sign * score > best:
            best, waited = sign * score, 0
        elif int(trial_id) >= baselines:
            waited += 1
    return waited


def first_trial(oracle: SafeOracle, trial_id: str) -> int:
    """Return the number of the trial that began the training which a trial continues."""
    values: dict[str, Any] = oracle.trials[trial_id].hyperparameters.values
    while parent := values.get(PARENT):
        trial_id, values = parent, oracle.trials[parent].hyperparameters.values
    return int(trial_id)


def _full_scores(oracle: SafeOracle, max_epochs: int, budgets: Mapping[str, int]) -> dict[str, float]:
    """Return the best score of each training that reached the last epoch, its earlier rungs included."""
    scores = {}
    for trial in oracle.trials.values():
        budget = trial.hyperparameters.values.get(EPOCHS, budgets.get(trial.trial_id, max_epochs))
        if trial.score is None or budget < max_epochs:
            continue
        best, values = trial.score, trial.hyperparameters.values
        while parent := values.get(PARENT):
            best, values = max(best, oracle.trials[parent].score), oracle.trials[parent].hyperparameters.values
        scores[trial.trial_id] = float(best)
    return scores


def _noise(groups: list[list[float]], accuracy: float, validation: int) -> tuple[float, int]:
    """Return the standard deviation of a training's accuracy, and its degrees of freedom: 0 without repeats."""
    binomial = (accuracy * (1 - accuracy) / validation) ** 0.5
    freedom = sum(len(group) - 1 for group in groups)
    if not freedom:
        return binomial, 0
    squares = sum(float(np.var(group)) * len(group) for group in groups)
    return max((squares / freedom) ** 0.5, binomial), freedom


def _expected_maximum(count: int) -> float:
    """Return the expected maximum of standard normal numbers (Blom 1958)."""
    return max(0.0, NormalDist().inv_cdf((count - 0.375) / (count + 0.25)))
