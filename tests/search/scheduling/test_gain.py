"""What a search says that it gained, and when it gives up."""

import json

import keras_tuner as kt
import numpy as np
import pytest

from fer_search.search.proposing.oracles import make_oracle
from fer_search.search.scheduling.gain import measure_gain, trials_without_gain


def searched(folder, baselines, proposals):
    """An oracle with so many trials, each of one epoch."""
    hp = kt.HyperParameters()
    hp.Float("a", 0.0, 1.0)
    oracle = make_oracle("random", hp, folder, seed=0, max_trials=None, max_epochs=1, factor=3)
    for k, score in enumerate([*baselines, *proposals]):
        trial = oracle.adopt(hp.copy()) if k < len(baselines) else oracle.propose()
        if score is None:
            oracle.fail(trial, "it broke")
        else:
            oracle.finish(trial, [{"epoch": 1, "val_accuracy": score}])
    return oracle


def test_nothing_is_gained_on_average_where_there_is_nothing_to_gain(tmp_path):
    rng, gains, covered = np.random.default_rng(0), [], 0
    for k in range(60):
        true = 0.45
        scores = rng.binomial(1250, true, 14) / 1250
        gain = measure_gain(searched(tmp_path / str(k), scores[:2], scores[2:]), ["a", "b"], 1, 1250)
        gains.append(gain.corrected)
        covered += gain.interval[0] <= 0 <= gain.interval[1]
        assert gain.observed > gain.corrected
    assert abs(np.mean(gains)) < 0.005
    assert covered >= 52


def test_a_true_gain_is_seen_and_repeats_measure_the_noise(tmp_path):
    oracle = searched(tmp_path / "run", [0.41, 0.30, 0.43, 0.32], [0.55, 0.5, None])
    gain = measure_gain(oracle, ["a", "b", "a", "b"], 1, 10_000, repeats=2)
    assert gain.observed == pytest.approx(0.55 - 0.42)
    assert gain.repeated
    assert gain.error > 0.015
    assert gain.interval[1] - gain.corrected == pytest.approx(4.3027 * gain.error, rel=1e-3)  # t, 2 degrees of freedom
    assert (gain.proposal, gain.proposals) == ("0004", 2)
    assert gain.interval[0] > 0
    text = gain.describe("results/x", "a", "confirming it takes 3 min")
    assert "+13.0 points by trial 4" in text
    assert "fer-search confirm results/x --trial 4 --trial 2" in text


def test_it_says_that_stopping_costs_nothing(tmp_path):
    gain = measure_gain(searched(tmp_path / "run", [0.45], [0.44, 0.455, 0.43]), ["default"], 1, 2500)
    text = gain.describe("results/x", "default", "")
    assert text.startswith("No proposal is better than the baseline default")
    assert text.endswith("A gain of a point or more is neither shown nor ruled out.")
    certain = measure_gain(searched(tmp_path / "worse", [0.45], [0.42, 0.41]), ["default"], 1, 9000)
    assert certain.describe("results/x", "default", "").endswith("Stopping costs nothing.")


def test_baselines_that_were_never_in_the_running_do_not_raise_the_gain(tmp_path):
    for baselines in ([0.6, 0.5, 0.45, 0.4], [0.6, 0.599, 0.598, 0.597]):
        gain = measure_gain(searched(tmp_path / f"{baselines[1]}", baselines, [0.605]), list("abcd"), 1, 2800)
        assert gain.corrected == pytest.approx(gain.observed) == pytest.approx(0.005)
    lucky = measure_gain(searched(tmp_path / "many", [0.6, 0.5, 0.45], [0.6] * 9 + [0.605]), list("abc"), 1, 2800)
    alone = measure_gain(searched(tmp_path / "alone", [0.6], [0.6] * 9 + [0.605]), ["a"], 1, 2800)
    assert lucky.bias == alone.bias > 0


def test_a_single_proposal_needs_no_correction(tmp_path):
    better = measure_gain(searched(tmp_path / "a", [0.5], [0.6]), ["a"], 1, 2800).describe("results/x", "default", "")
    assert "+10.0 points by trial 1 (95% " in better
    worse = measure_gain(searched(tmp_path / "b", [0.6], [0.5]), ["a"], 1, 2800).describe("results/x", "default", "")
    assert "default: the only one trained for all epochs, trial 1, is at -10.0 points (95% " in worse
    assert "correction" not in better + worse


def test_without_baselines_or_proposals_nothing_is_said(tmp_path):
    assert measure_gain(searched(tmp_path / "a", [], [0.4]), [], 1, 100) is None
    assert measure_gain(searched(tmp_path / "b", [0.4], []), ["a"], 1, 100) is None


def test_trials_are_counted_since_the_best(tmp_path):
    assert trials_without_gain(searched(tmp_path / "a", [0.5], [0.4, None, 0.45]), 1) == 3
    assert trials_without_gain(searched(tmp_path / "b", [0.5], [0.4, 0.6, 0.45]), 1) == 1


def test_a_search_ends_after_its_patience_and_says_its_gain(search, tmp_path):
    assert search(tmp_path, tuner="random", max_trials=40, search_patience=4) == 0
    info = json.loads((tmp_path / "tiny" / "run.json").read_text())
    count = len(list(tmp_path.glob("tiny/trial_*")))
    assert 5 < count < 40
    assert info["gain"]["proposals"] == count - 2
    out = (tmp_path / "out.txt").read_text()
    assert " points after correction for the best of " in out
    assert f" Ended after {count} of 40 trials: no new best one among the last 4 (--search-patience). Report: " in out
