"""The guided oracle: what it trains, resumes and recommends, on made-up learning curves."""

import keras_tuner as kt
import numpy as np
import pytest

from fer_search.search.proposing.encoding import Encoding
from fer_search.search.proposing.guided_oracle import GuidedOracle
from fer_search.search.proposing.learning_curves import LearningCurves, Observations, expected_improvement
from fer_search.search.proposing.oracles import make_oracle
from fer_search.search.proposing.trainings import rung_epochs
from fer_search.search.window import Window

EPOCHS = 9


def space():
    hp = kt.HyperParameters()
    for name in "abcdef":
        hp.Choice(name, [0, 1, 2])
    hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-4)
    with hp.conditional_scope("a", [2]):
        hp.Choice("slope", ["flat", "steep"])
    return hp


def final(values):
    rate = np.log10(values["rate"]) + 2
    extra = 0.02 * (values.get("slope") == "steep")
    return 0.3 + 0.03 * sum(values[name] for name in "abc") + extra - 0.03 * min(rate * rate, 3)


def curve(values, seed):
    """Accuracy of each epoch; choice f slows a training down and costs nothing in the end."""
    rng = np.random.default_rng([seed, *(int(1000 * float(v)) for k, v in values.items() if k in [*"abcdef", "rate"])])
    speed = 0.6 - 0.15 * values["f"]
    epochs = np.arange(1, EPOCHS + 1)
    rise = (1 - np.exp(-speed * epochs)) / (1 - np.exp(-speed * EPOCHS))
    return 0.2 + (final(values) - 0.2) * rise + rng.normal(0, 0.008, EPOCHS)


def make(folder, tuner="guided", seed=0, **options):
    given = {"max_trials": None, "max_epochs": EPOCHS, "factor": 3, "min_epochs": 1, "full_baselines": False} | options
    oracle = make_oracle(tuner, space(), folder, seed=seed, **given)
    return oracle


def baseline(**values):
    hp = space()
    hp.values = {choice.name: choice.default for choice in hp.space if hp.is_active(choice)} | values
    return hp


def finish(oracle, trial, seed=0):
    values = trial.hyperparameters.values
    start, end = values.get("tuner/initial_epoch", 0), values.get("tuner/epochs", EPOCHS)
    rows = [{"epoch": k + 1, "val_accuracy": curve(values, seed)[k]} for k in range(start, end)]
    oracle.finish(trial, rows)
    return end - start


def search(oracle, epochs, seed=0, known=()):
    """Run until so many epochs are spent."""
    spent = 0
    for hp in known:
        spent += finish(oracle, oracle.adopt_baseline(hp), seed)
    while spent < epochs:
        spent += finish(oracle, oracle.propose(), seed)
    return oracle


@pytest.mark.parametrize(
    ("arguments", "rungs"),
    [
        ((1, 9, 3), [1, 3, 9]),
        ((3, 9, 3), [3, 9]),
        ((2, 9, 3), [2, 4, 9]),
        ((4, 50, 3), [4, 9, 22, 50]),
        ((50, 50, 3), [50]),
        ((1, 1, 3), [1]),
        ((20, 9, 3), [9]),
    ],
)
def test_rungs_grow_by_equal_ratios(arguments, rungs):
    assert rung_epochs(*arguments) == rungs


def test_trainings_are_resumed_from_where_they_stopped(tmp_path):
    oracle = search(make(tmp_path / "run"), 150)
    values = [trial.hyperparameters.values for trial in oracle.trials.values()]
    resumed = [v for v in values if "tuner/trial_id" in v]
    assert len(resumed) > 5
    parents = [v["tuner/trial_id"] for v in resumed]
    assert len(set(parents)) == len(parents)
    for v in resumed:
        before = oracle.trials[v["tuner/trial_id"]].hyperparameters.values
        assert v["tuner/initial_epoch"] == before["tuner/epochs"]
        assert {k: x for k, x in v.items() if "/" not in k} == {k: x for k, x in before.items() if "/" not in k}
    new = [tuple(sorted((k, x) for k, x in v.items() if "/" not in k)) for v in values if "tuner/trial_id" not in v]
    assert len(set(new)) == len(new)


def test_a_design_that_was_passed_over_may_be_resumed_later(tmp_path):
    """Others are begun between two rungs of a training: nothing is discarded."""
    oracle = search(make(tmp_path / "run", seed=4), 200, seed=4)
    waits = []
    for trial_id, trial in oracle.trials.items():
        if parent := trial.hyperparameters.values.get("tuner/trial_id"):
            waits.append(int(trial_id) - int(parent))
    assert max(waits) > 3


def test_it_beats_random_search_at_equal_epochs(tmp_path):
    gains = []
    for seed in range(4):
        best = {}
        for tuner in ("guided", "random"):
            oracle = search(make(tmp_path / f"{tuner}{seed}", tuner, seed), 110, seed)
            trial = max((t for t in oracle.trials.values()), key=lambda t: t.score)
            best[tuner] = final(trial.hyperparameters.values)
        gains.append(best["guided"] - best["random"])
    assert np.mean(gains) > 0.02


def test_the_best_baseline_is_trained_to_the_end_first(tmp_path):
    known = [baseline(), baseline(a=1, b=2, c=2, rate=0.01)]
    oracle = search(make(tmp_path / "run"), 30, known=known)
    proposed = [t.hyperparameters.values for t in oracle.trials.values()][6:8]
    assert [v.get("tuner/trial_id") for v in proposed] == ["0001", "0006"]
    assert proposed[1]["tuner/epochs"] == EPOCHS


def test_a_gain_within_the_noise_is_not_recommended(tmp_path):
    best = baseline(a=2, b=2, c=2, rate=0.01, slope="steep")
    oracle = search(make(tmp_path / "good"), 150, known=[best])
    assert oracle.recommended() in ("0000", *(i for i in oracle.trials if _root(oracle, i) == "0000"))
    oracle = search(make(tmp_path / "poor"), 150, known=[baseline(rate=0.1)])
    assert _root(oracle, oracle.recommended()) != "0000"
    assert oracle.trials[oracle.recommended()].hyperparameters.values["tuner/epochs"] == EPOCHS


def _root(oracle, trial_id):
    while parent := oracle.trials[trial_id].hyperparameters.values.get("tuner/trial_id"):
        trial_id = parent
    return trial_id


def test_failures_are_avoided_and_not_resumed(tmp_path):
    oracle = make(tmp_path / "run")
    for _ in range(40):
        trial = oracle.propose()
        if trial.hyperparameters.values["a"] == 0:
            oracle.fail(trial, "it broke")
        else:
            finish(oracle, trial)
    values = [t.hyperparameters.values for t in oracle.trials.values()]
    failed = {t.trial_id for t in oracle.trials.values() if t.status == "FAILED"}
    assert failed
    assert not failed & {v.get("tuner/trial_id") for v in values}
    assert sum(v["a"] == 0 for v in values[20:]) < sum(v["a"] == 0 for v in values[:20])


def test_several_pending_trials_are_different_designs(tmp_path):
    oracle = make(tmp_path / "run")
    oracle.concurrent = True
    search(oracle, 40)
    pending = [oracle.propose() for _ in range(5)]
    assert len({t.hyperparameters.values.get("tuner/trial_id", t.trial_id) for t in pending}) == 5
    oracle.record(pending[2].trial_id, [{"epoch": 1, "val_accuracy": 0.9}], None)
    unaware = dict(oracle.propose().hyperparameters.values)  # of a result that is not committed yet
    oracle.flush()
    again = make(tmp_path / "run")
    again.concurrent = True
    again.restore()
    assert [t.trial_id for t in again.pending()] == [t.trial_id for t in oracle.pending()]
    assert again.pending()[-1].hyperparameters.values == unaware


def test_a_choice_that_slows_a_training_is_no_fault_in_the_end():
    """What a covariate such as the schedule does early is learned from few full trainings."""
    encoding, rng = Encoding(space().space), np.random.default_rng(0)
    rows = encoding.snap(rng.random((40, len(encoding.free))))
    designs = [encoding.values(row) for row in rows]
    first = [(k, 1 / 9, max(curve(v, 0)[:1])) for k, v in enumerate(designs)]
    last = [(k, 1.0, max(curve(v, 0))) for k, v in enumerate(designs[:12])]
    seen = Observations(*(np.array(column) for column in zip(*first, *last, strict=True)))
    model = LearningCurves(encoding.features(rows), seen)
    mean, deviation = model.predict(model.features, np.arange(40))
    error = mean - np.array([final(v) for v in designs])
    assert np.corrcoef(error, [v["f"] for v in designs])[0, 1] < 0.4
    assert np.mean(np.abs(error[12:]) < 2.5 * deviation[12:]) > 0.85
    assert np.abs(error[:12]).mean() < np.abs(error[12:]).mean()


def test_expected_improvement_is_that_of_the_normal_distribution():
    draws = np.random.default_rng(0).normal(0.4, 0.1, 200_000)
    assert expected_improvement(np.array([0.4]), np.array([0.1]), 0.45)[0] == pytest.approx(
        np.maximum(draws - 0.45, 0).mean(), rel=0.02
    )


def test_a_small_space_ends(tmp_path):
    hp = kt.HyperParameters()
    hp.Choice("a", [0, 1, 2])
    oracle = make_oracle(
        "guided", hp, tmp_path / "run", seed=0, max_trials=None, max_epochs=3, factor=3, full_baselines=False
    )
    assert isinstance(oracle, GuidedOracle)
    count = 0
    while trial := oracle.propose():
        oracle.finish(trial, [{"epoch": trial.hyperparameters.values["tuner/epochs"], "val_accuracy": 0.3}])
        count += 1
        assert count <= 6
    assert count >= 3


@pytest.mark.parametrize("known", [[], [{"rate": 1e-2}], [{}], [{"rate": 1e-2}, {}]])
def test_the_default_design_is_tried_first_unless_it_is_a_baseline(tmp_path, known):
    oracle = make(tmp_path)
    for values in known:
        finish(oracle, oracle.adopt_baseline(baseline(**values)))
    defaults = baseline().values
    proposed = []
    for _ in range(3):
        trial = oracle.propose()
        finish(oracle, trial)
        values = trial.hyperparameters.values
        proposed.append({name: value for name, value in values.items() if not name.startswith("tuner/")})
    expected = [] if {} in known else [0]
    assert [k for k, values in enumerate(proposed) if values == defaults] == expected


def search_limited(folder, limit, baselines, ahead=1, broken=()):
    """Run a search of a limited number of trials; returns its trials."""
    oracle = make(folder)
    oracle.concurrent = ahead > 1

    def begin_next():
        count = len(oracle.trials)
        if count < min(baselines, limit):
            return oracle.adopt_baseline(baseline(a=count, rate=1e-2))
        return oracle.propose(limit - count) if count < limit else None

    window = Window(oracle, begin_next, ahead, ahead)
    while (action := window.decide()).action != "finished":
        if action.action == "wait":
            trial = oracle.pending()[0]
            values = trial.hyperparameters.values
            epochs = range(values["tuner/initial_epoch"], values["tuner/epochs"])
            rows = [{"epoch": k + 1, "val_accuracy": curve(values, 0)[k]} for k in epochs]
            failed = int(trial.trial_id) in broken
            oracle.record(trial.trial_id, rows, "it broke" if failed else None, failed)
        elif action.action == "commit":
            oracle.commit(action.trial.trial_id)
    return list(oracle.trials.values())


@pytest.mark.parametrize(("baselines", "ahead"), [(0, 1), (1, 1), (1, 4), (3, 4)])
@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8])
def test_few_trials_end_with_a_fully_trained_proposal_and_baseline(tmp_path, limit, baselines, ahead):
    trials = search_limited(tmp_path / "run", limit, baselines, ahead)
    assert len(trials) == limit
    values = {trial.trial_id: trial.hyperparameters.values for trial in trials}
    roots = {i: values[i].get("tuner/trial_id", i) for i in values}
    full = [roots[roots[i]] for i in values if values[i]["tuner/epochs"] == EPOCHS]
    assert any(int(root) >= baselines for root in full) or limit <= baselines
    assert not baselines or any(int(root) < baselines for root in full) or limit < baselines + 2
    for i in values:
        before = values[roots[i]]["tuner/epochs"] if roots[i] != i else 0
        assert values[i]["tuner/initial_epoch"] == before < values[i]["tuner/epochs"]


@pytest.mark.parametrize(("limit", "baselines"), [(5, 0), (6, 1), (8, 3)])
def test_the_most_promising_of_few_proposals_is_trained_fully(tmp_path, limit, baselines):
    trials = search_limited(tmp_path / "run", limit, baselines)
    values = [trial.hyperparameters.values for trial in trials]
    last = 2 if baselines else 1  # the best baseline too
    assert [v["tuner/epochs"] for v in values] == [1] * (limit - last) + [EPOCHS] * last
    proposals = sorted(trials[baselines:-last], key=lambda trial: trial.score)
    chosen = values[-last]["tuner/trial_id"]
    assert chosen == proposals[-1].trial_id or (limit > 6 and chosen != proposals[0].trial_id)  # a model's forecast
    assert not baselines or int(values[-1]["tuner/trial_id"]) < baselines


def test_without_anything_to_resume_a_new_design_is_trained_fully(tmp_path):
    trials = search_limited(tmp_path / "run", 5, 1, broken=(0, 1, 2, 3))
    assert "tuner/trial_id" not in trials[4].hyperparameters.values
    assert trials[4].hyperparameters.values["tuner/epochs"] == EPOCHS
