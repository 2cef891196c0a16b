"""Keras Tuner's proposals, made exact to resume: without failures, with them, and at the end of a space."""

import keras_tuner as kt
import numpy as np
import pytest
from keras_tuner.engine import hyperparameters as kinds

from fer_search.search.proposing import oracles
from fer_search.search.proposing.encoding import Encoding
from fer_search.search.proposing.gaussian_process import GaussianProcess, propose
from fer_search.search.proposing.oracles import HyperbandOracle, make_oracle

ROW = {"epoch": 1, "loss": 1.0}


def space():
    hp = kt.HyperParameters()
    hp.Choice("kind", ["a", "b", "c"])
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Int("depth", 1, 5)
    hp.Boolean("flip")
    with hp.conditional_scope("kind", ["b"]):
        hp.Float("slope", 0.0, 1.0, step=0.25)
    hp.Fixed("size", 48)
    return hp


def score(values):
    return 0.5 + 0.1 * (values["kind"] == "b") - 0.05 * abs(np.log10(values["rate"]) + 2.5) + 0.01 * values["depth"]


def run(oracle, failing=(), most=500):
    """Run a search to its end; gives the values of each trial."""
    found = []
    while len(found) < most:
        trial = oracle.create_trial("tuner0")
        if trial.status != "RUNNING":
            break
        found.append(dict(trial.hyperparameters.values))
        if len(found) - 1 in failing:
            oracle.fail(trial, "it broke")
        else:
            trial.metrics.register("val_accuracy", "max")
            trial.metrics.update("val_accuracy", score(trial.hyperparameters.values), step=1)
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
    return found


def ours(tuner, folder, choices=None, **options):
    given = {"seed": 4, "max_trials": None, "max_epochs": 9, "factor": 3} | options
    return make_oracle(tuner, choices or space(), folder, **given)


def test_hyperband_proposes_what_keras_tuner_does(tmp_path):
    stock = kt.oracles.HyperbandOracle(
        objective=kt.Objective("val_accuracy", "max"), max_epochs=9, factor=3, hyperparameters=space(), seed=5
    )
    stock.verbose = 0
    stock._set_project_dir(str(tmp_path), "stock")
    assert run(ours("hyperband", tmp_path / "ours")) == run(stock)


@pytest.mark.parametrize("failing", [{0}, {0, 1, 2, 3}, {3, 14, 16}, set(range(100))])
def test_failed_trials_do_not_shrink_hyperbands_rungs(tmp_path, failing):
    oracle = ours("hyperband", tmp_path / "run")
    found = run(oracle, failing)
    sizes = [oracle._get_size(b, r) for b in range(3) for r in range(b + 1)]
    rungs = [(v["tuner/bracket"], v["tuner/round"]) for v in found]
    for bracket in range(3):
        for rung in range(bracket + 1):
            below = [k for k, at in enumerate(rungs) if at == (bracket, rung - 1) and k not in failing]
            expected = oracle._get_size(bracket, rung)
            count = rungs.count((bracket, rung))
            assert count == (expected if rung == 0 else min(expected, len(below)))
    assert sum(sizes) >= len(found)


def test_hyperband_goes_on_where_a_small_space_cannot_fill_a_rung(tmp_path):
    hp = kt.HyperParameters()
    hp.Choice("kind", ["a", "b", "c", "d"])
    hp.Fixed("rate", 0.01)
    hp.Fixed("depth", 1)
    found = run(ours("hyperband", tmp_path / "run", hp))
    firsts = [v for v in found if v["tuner/round"] == 0]
    assert len(firsts) == 4
    assert any(v["tuner/round"] == 2 and v["tuner/epochs"] == 9 for v in found)


def test_only_those_that_can_go_on_are_promotable(tmp_path):
    oracle = ours("hyperband", tmp_path / "run")
    assert isinstance(oracle, HyperbandOracle)
    run(oracle, most=oracle._get_size(2, 0))
    waiting = oracle.promotable()
    assert len(waiting) == oracle._get_size(2, 1)
    assert waiting[0] == max(oracle.trials.values(), key=lambda t: t.score).trial_id


@pytest.mark.parametrize("tuner", ["guided", "random", "bayesian", "grid", "hyperband"])
def test_a_reloaded_oracle_proposes_the_same(tmp_path, tuner):
    whole = run(ours(tuner, tmp_path / "whole", max_trials=20), failing={2, 11}, most=20)
    found = []
    for number in range(len(whole)):
        oracle = ours(tuner, tmp_path / "parts", max_trials=20)
        if number:
            oracle.restore()
        found += run(oracle, failing={2 - number, 11 - number}, most=1)
    assert found == whole


def test_stock_keras_tuner_reloads_every_oracle(tmp_path):
    tuners = {
        "guided": kt.RandomSearch,
        "random": kt.RandomSearch,
        "bayesian": kt.BayesianOptimization,
        "hyperband": kt.Hyperband,
        "grid": kt.GridSearch,
    }
    for name, kind in tuners.items():
        found = run(ours(name, tmp_path / name, max_trials=12), failing={1}, most=12)
        (tmp_path / name / "tuner0.json").write_text("{}")
        more = {"max_epochs": 9} if name == "hyperband" else {"max_trials": 30}
        objective = kt.Objective("val_accuracy", "max")
        tuner = kind(lambda hp: None, objective=objective, directory=str(tmp_path), project_name=name, **more)
        tuner.reload()
        assert len(tuner.oracle.trials) == len(found)
        scores = [t.score for t in tuner.oracle.trials.values() if t.score is not None]
        assert tuner.oracle.get_best_trials()[0].score == max(scores)
        assert tuner.oracle.create_trial("tuner0").status in ("RUNNING", "STOPPED")


def test_rows_of_designs_go_there_and_back():
    encoding = Encoding(space().space)
    rng = np.random.default_rng(0)
    rows = encoding.snap(rng.random((300, len(encoding.free))))
    for row in rows:
        values = encoding.values(row)
        assert ("slope" in values) == (values["kind"] == "b")
        assert values["size"] == 48
        np.testing.assert_allclose(encoding.row(values), row, atol=1e-9)
    shapes = [feature.shape[1] for feature in encoding.features(rows)]
    assert shapes == [3, 1, 1, 1, 1]


def test_the_process_learns_which_choice_matters():
    rng = np.random.default_rng(0)
    x = rng.random((60, 3))
    y = np.sin(6 * x[:, 0]) + 0.05 * rng.normal(size=60)
    features = [x[:, k : k + 1] for k in range(3)]
    process = GaussianProcess(features, y)
    assert process.weights[0] > 5 * max(process.weights[1:])
    new = rng.random((200, 3))
    mean, deviation = process.predict([new[:, k : k + 1] for k in range(3)])
    assert np.abs(mean - np.sin(6 * new[:, 0])).mean() < 0.1
    assert (deviation > 0).all()


def test_the_fit_follows_the_gradient():
    from scipy.optimize import check_grad

    from fer_search.search.proposing import gaussian_process

    rng = np.random.default_rng(1)
    x, y = rng.random((20, 2)), rng.normal(size=20)
    squares = np.stack([gaussian_process.pairwise_squares(x[:, k : k + 1], x[:, k : k + 1]) for k in range(2)])
    losses = {}

    def spy(loss, start, **options):
        losses["loss"] = loss
        return type("Found", (), {"x": start})

    original, gaussian_process.minimize = gaussian_process.minimize, spy
    try:
        start = gaussian_process._fit(squares, y)
    finally:
        gaussian_process.minimize = original
    loss = losses["loss"]
    assert check_grad(lambda t: loss(t)[0], lambda t: loss(t)[1], start) < 1e-4


def test_proposals_are_new_and_find_the_optimum():
    rng = np.random.default_rng(0)
    hp, encoding = space(), Encoding(space().space)
    tried = [encoding.values(row) for row in encoding.snap(rng.random((8, len(encoding.free))))]
    for number in range(20):
        values = propose(hp.space, tried, np.array([score(v) for v in tried]), 2.6, np.random.default_rng(number))
        assert values is not None
        assert values not in tried
        tried.append(values)
    best = max(tried, key=score)
    assert best["kind"] == "b"
    assert best["depth"] == 5
    assert abs(np.log10(best["rate"]) + 2.5) < 0.4


def test_a_space_without_more_designs_ends():
    choice = kinds.Choice("kind", ["a", "b"])
    tried = [{"kind": "a"}, {"kind": "b"}]
    assert propose([choice], tried, np.array([0.1, 0.2]), 2.6, np.random.default_rng(0)) is None


def test_the_model_is_told_of_failures_as_the_worst_and_of_its_beta(tmp_path, monkeypatch):
    """A failed trial has no score; taken for the best, the search would run after it."""
    told = {}

    def watched(*arguments):
        told.update(scores=arguments[2].tolist(), beta=arguments[3])
        return propose(*arguments)

    monkeypatch.setattr(oracles, "propose", watched)
    oracle = ours("bayesian", tmp_path / "run", max_trials=12)
    found = run(oracle, failing={1, 5}, most=12)
    scores = [score(values) for k, values in enumerate(found[:11]) if k not in (1, 5)]
    expected = [min(scores) if k in (1, 5) else score(values) for k, values in enumerate(found[:11])]
    assert told["scores"] == pytest.approx(expected)
    assert told["beta"] == oracle.beta == 2.6


def test_a_larger_beta_explores_more():
    """The upper confidence bound: where nothing was tried the spread is large, and beta decides what it is worth."""
    hp = kt.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    tried = [{"x": float(x)} for x in np.linspace(0, 0.5, 12)]
    scores = np.array([0.5 + 0.3 * value["x"] * (0.5 - value["x"]) for value in tried])  # best at a quarter
    near, far = (
        np.mean([propose(hp.space, tried, scores, beta, np.random.default_rng(k), [])["x"] for k in range(5)])
        for beta in (0.0, 50.0)
    )
    assert abs(near - 0.25) < 0.1
    assert far > 0.6


@pytest.mark.parametrize("direction", ["max", "min"])
def test_the_best_failed_and_pending_trials_are_those_that_a_look_at_all_finds(tmp_path, direction):
    """In a random order of beginnings, results, failures and commits, with restarts in between."""

    def open_run():
        objective = kt.Objective("val_accuracy", direction)
        oracle = ours("random", tmp_path / "run", max_trials=200, objective=objective)
        oracle.concurrent = True
        return oracle

    def check():
        known = [oracle.known_trial(trial_id) for trial_id in oracle.trials]
        sign = -1 if direction == "max" else 1
        scored = sorted((t for t in known if t.score is not None), key=lambda t: (sign * t.score, t.trial_id))
        assert oracle.best_trials(5) == [trial.trial_id for trial in scored[:5]]
        assert oracle.failed == {trial.trial_id for trial in known if trial.status == "FAILED"}
        waiting = [trial_id for trial_id in oracle.start_order if trial_id not in oracle.end_order]
        assert [trial.trial_id for trial in oracle.pending()] == waiting

    oracle, rng = open_run(), np.random.default_rng(0)
    for _ in range(150):
        running = [trial.trial_id for trial in oracle.pending() if trial.trial_id not in oracle.recorded]
        if len(running) < 6:
            oracle.propose()
        elif rng.random() < 0.7:
            row = ROW | {"val_accuracy": float(rng.integers(20)) / 20}
            oracle.record(str(rng.choice(running)), [row], None, failed=bool(rng.random() < 0.2))
        elif oracle.pending()[0].trial_id in oracle.recorded:
            oracle.commit(oracle.pending()[0].trial_id)
        check()
        if rng.random() < 0.05:
            oracle.flush()
            oracle = open_run()
            oracle.restore()
            check()
    assert len(oracle.failed) > 3
    assert len(oracle.end_order) > 10
