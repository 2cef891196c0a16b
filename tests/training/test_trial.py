import dataclasses
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from cases import NETWORK, RICH, SMALL, make_trial, timeless

from fer_search.design import Augmentation, Design, Evaluation, Optimisation
from fer_search.models import build_model, make_loss
from fer_search.runfolder.epochs import read_epochs
from fer_search.training import checkpoint_writer
from fer_search.training.batches import draw_batches
from fer_search.training.checkpoint import checkpoint_path, checkpointed_epochs
from fer_search.training.engines import make_engine
from fer_search.training.loop import EpochLoop
from fer_search.training.predict import predict_images
from fer_search.training.trial import Stopped, TrialData, TrialFailed, TrialHooks, train


def weights_of(folder, epoch):
    """Return every array of a checkpoint, including optimiser state."""
    arrays = []
    with h5py.File(checkpoint_path(folder, epoch)) as file:
        file.visititems(lambda _, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    assert len(arrays) > 10
    return arrays


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, data):
    """An uninterrupted training run of three epochs: its folder and rows."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, train(make_trial(folder), data)


def test_two_training_runs_agree_bit_for_bit(tmp_path, data, uninterrupted):
    assert timeless(train(make_trial(tmp_path), data)) == timeless(uninterrupted[1])
    for a, b in zip(weights_of(tmp_path, 3), weights_of(uninterrupted[0], 3), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_trial_number_gives_other_random_draws(tmp_path, data, uninterrupted):
    assert timeless(train(make_trial(tmp_path, epochs=1, number=1), data)) != timeless(uninterrupted[1][:1])


@pytest.fixture
def checkpoints(request, monkeypatch):
    """Checkpoint every epoch, as with long epochs, or only the first and the last."""
    monkeypatch.setattr(checkpoint_writer, "MIN_TRAIN_WRITE_RATIO", {"every": 0.0, "few": 1e9}[request.param])


@pytest.mark.usefixtures("checkpoints")
@pytest.mark.parametrize(("checkpoints", "stop_in"), [("every", 1), ("every", 2), ("few", 3)], indirect=["checkpoints"])
def test_a_stopped_trial_resumes_to_the_uninterrupted_result(tmp_path, data, uninterrupted, stop_in):
    seen = []

    def stop():
        return bool(seen) and seen[-1].epoch == stop_in

    with pytest.raises(Stopped):
        train(make_trial(tmp_path), data, TrialHooks(should_stop=stop, on_progress=seen.append))
    assert len(read_epochs(tmp_path / "epochs.csv")) == stop_in - 1
    again = []
    rows = train(make_trial(tmp_path), data, TrialHooks(on_epoch_end=again.append))
    assert [row["epoch"] for row in again] == list(range(stop_in, 4))  # no epoch is repeated
    assert timeless(rows) == timeless(uninterrupted[1])
    for a, b in zip(weights_of(tmp_path, 3), weights_of(uninterrupted[0], 3), strict=True):
        np.testing.assert_array_equal(a, b)


class Killed(BaseException):
    """Simulates SIGKILL: it is not caught anywhere."""


@pytest.mark.usefixtures("checkpoints")
@pytest.mark.parametrize(
    ("checkpoints", "before"),
    [
        *(("every", write) for write in ("save_checkpoint", "link_best", "append_epoch", "remove_other_checkpoints")),
        *(("few", write) for write in ("save_checkpoint", "save_best", "remove_other_checkpoints")),
    ],
    indirect=["checkpoints"],
)
def test_a_trial_killed_before_any_write_resumes_to_the_same_result(tmp_path, data, uninterrupted, monkeypatch, before):
    real, calls = getattr(checkpoint_writer, before), []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == (1 if before == "save_best" else 2):
            raise Killed
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_writer, before, killed)
        with suppress(Killed):
            train(make_trial(tmp_path), data)
    train(make_trial(tmp_path), data)
    rows = read_epochs(tmp_path / "epochs.csv")
    assert timeless(rows) == timeless(uninterrupted[1])
    assert checkpointed_epochs(tmp_path) == [3]
    for a, b in zip(weights_of(tmp_path, 3), weights_of(uninterrupted[0], 3), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_trial_without_its_checkpoint_starts_from_scratch(tmp_path, data, uninterrupted):
    with pytest.raises(Stopped):
        train(
            make_trial(tmp_path), data, TrialHooks(should_stop=lambda: len(read_epochs(tmp_path / "epochs.csv")) == 2)
        )
    for file in tmp_path.glob("*.h5"):
        file.unlink()
    again = []
    assert timeless(train(make_trial(tmp_path), data, TrialHooks(on_epoch_end=again.append))) == timeless(
        uninterrupted[1]
    )
    assert [row["epoch"] for row in again] == [1, 2, 3]


def test_a_promoted_trial_resumes_from_its_parents_weights_and_optimiser(tmp_path, data):
    parent = make_trial(tmp_path / "parent", epochs=2)
    history = train(parent, data)
    child = make_trial(tmp_path / "child", epochs=3, number=7, parent=parent.folder, history=history)
    with pytest.raises(Stopped):  # stopped in its first epoch and then resumed
        train(child, data, TrialHooks(should_stop=lambda: True))
    rows = train(child, data)
    assert [row["epoch"] for row in rows] == [3]
    model = build_model(SMALL)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(checkpoint_path(child.folder, 3))
    assert int(model.optimizer.iterations) == 3 * 5  # 150 images in steps of 30, three epochs


@pytest.mark.usefixtures("checkpoints")
@pytest.mark.parametrize(
    ("checkpoints", "best", "stopped"),
    [("every", 2, False), ("few", 2, False), ("few", 2, True), ("few", 3, True)],
    indirect=["checkpoints"],
)
def test_the_best_epochs_weights_are_kept(tmp_path, data, uninterrupted, monkeypatch, best, stopped):
    """For any best epoch, and with a stop in the third epoch."""
    real = EpochLoop.run_epoch

    def run_epoch_with_best(self, epoch, losses):
        return real(self, epoch, losses) | {"val_accuracy": 0.9 if epoch == best else 0.5}

    monkeypatch.setattr(EpochLoop, "run_epoch", run_epoch_with_best)
    seen = []
    if stopped:
        with pytest.raises(Stopped):
            train(make_trial(tmp_path), data, TrialHooks(lambda: seen[-1].epoch == 3, seen.append))
    rows = train(make_trial(tmp_path), data)
    assert [row["loss"] for row in rows] == [row["loss"] for row in uninterrupted[1]]
    model = build_model(SMALL)
    model.load_weights(tmp_path / "best.weights.h5")
    probabilities = np.asarray(model(data.val_images[..., None].astype("float32"), training=False))
    hit = probabilities.argmax(axis=1) == data.val_labels
    assert hit.mean() == pytest.approx(rows[best - 1]["clean_val_accuracy"], abs=1e-9)


def test_a_diverging_trial_fails_with_the_reason(tmp_path, data):
    wild = Design(
        network=NETWORK,
        optimisation=Optimisation(optimizer="sgd", learning_rate=100, weight_decay=1, precision="float32"),
    )
    with pytest.raises(TrialFailed, match=r"loss was (nan|inf) in epoch"):
        train(make_trial(tmp_path, epochs=8, design=wild), data)


def test_the_reports_protocol_also_reports_clean_validation_metrics(tmp_path, data, uninterrupted):
    shown = TrialData(data.images, data.labels, data.val_images, data.val_labels, augment_validation=True)
    rows = train(make_trial(tmp_path, epochs=1), shown)
    model = build_model(SMALL)
    model.load_weights(checkpoint_path(tmp_path, 1))
    probabilities = predict_images(model, SMALL, data.val_images)[np.arange(len(data.val_labels)), data.val_labels]
    assert rows[0]["clean_val_loss"] == pytest.approx(-np.log(probabilities).mean(), rel=1e-4)
    assert rows[0]["val_loss"] != rows[0]["clean_val_loss"]
    assert uninterrupted[1][0]["clean_val_accuracy"] == uninterrupted[1][0]["val_accuracy"]


@pytest.mark.parametrize("mirror", [True, False])
def test_augmented_validation_images_have_the_designs_views(tmp_path, data, mirror):
    """Without geometric augmentation they are the validation images themselves."""
    design = dataclasses.replace(SMALL, augmentation=Augmentation(), evaluation=Evaluation(views="flip"))
    shown = TrialData(data.images, data.labels, data.val_images, data.val_labels, augment_validation=True)
    row = train(make_trial(tmp_path, epochs=1, design=design, mirror_augmented=mirror), shown)[0]
    assert (row["val_loss"] == pytest.approx(row["clean_val_loss"], rel=1e-6)) == mirror


def test_steps_have_own_rates_and_splitting_an_epoch_changes_nothing(data):
    """Plain SGD moves the weights by the learning rate times the gradient, so a rate of 0 leaves them unchanged."""
    keras.utils.set_random_seed(0)
    results = []
    for cuts in ([(0, 5)], [(0, 1), (1, 4), (4, 5)]):
        keras.utils.set_random_seed(0)
        model = build_model(Design(network=NETWORK, optimisation=Optimisation(optimizer="sgd", precision="float32")))
        engine = make_engine(model, make_loss(Optimisation(), reduction="none"))
        rows, weights = draw_batches(np.random.default_rng(0), 150, 30)
        rates = np.array([0.1, 0, 0.2, 0.1, 0], np.float32)
        batches = {"rows": rows, "weights": weights, "loss_weights": weights, "learning_rates": rates}
        engine.begin_epoch(
            (engine.put(data.images), engine.put(data.labels.astype(np.int32))), batches, np.random.default_rng(0)
        )
        before, sums = [], np.zeros(3)
        for start, stop in cuts:
            before.append(np.asarray(model.trainable_variables[0]))
            sums += engine.train(start, stop)
        engine.end_epoch()
        results.append((sums, [np.asarray(v) for v in model.weights]))
        if len(cuts) > 1:
            np.testing.assert_array_equal(before[-1], np.asarray(model.trainable_variables[0]))  # the last rate was 0
            assert not np.array_equal(before[0], before[1])
    np.testing.assert_array_equal(results[0][0], results[1][0])
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


KILL_SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from fer_search import backend
from fer_search.fast_imports import UNUSED_BY_WORKERS
backend.start(UNUSED_BY_WORKERS)
import numpy as np
from cases import RICH, make_trial
from fer_search.training.trial import TrialData, TrialHooks, train
arrays = np.load(sys.argv[2])
data = TrialData(*(arrays[k] for k in ("x", "y", "xv", "yv")))
def kill(progress):
    if progress.epoch == 2 and progress.done > 60:
        os.kill(os.getpid(), signal.SIGKILL)
train(make_trial(Path(sys.argv[1]), design=RICH), data, TrialHooks(on_progress=kill))
"""


def test_a_killed_trial_with_ema_momentum_and_one_cycle_resumes_bit_for_bit(tmp_path, data):
    """Killed with SIGKILL in the second epoch, resumed here and compared with an uninterrupted run."""
    uninterrupted = train(make_trial(tmp_path / "uninterrupted", design=RICH), data)
    np.savez(tmp_path / "data.npz", x=data.images, y=data.labels, xv=data.val_images, yv=data.val_labels)
    arguments = [str(tmp_path / "killed"), str(tmp_path / "data.npz"), str(Path(__file__).parent)]
    run = subprocess.run(
        [sys.executable, "-c", KILL_SCRIPT, *arguments], env=os.environ, capture_output=True, text=True, check=False
    )
    assert run.returncode == -9, run.stderr
    assert checkpointed_epochs(tmp_path / "killed") == [1]
    rows = train(make_trial(tmp_path / "killed", design=RICH), data)
    assert timeless(rows) == timeless(uninterrupted)
    for a, b in zip(*(weights_of(tmp_path / name, 3) for name in ("killed", "uninterrupted")), strict=True):
        np.testing.assert_array_equal(a, b)
