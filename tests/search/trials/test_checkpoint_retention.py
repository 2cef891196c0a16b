"""Which weights are kept while trials end."""

import h5py
import keras_tuner as kt

from fer_search.runfolder.folder import RunFolder
from fer_search.search.proposing.oracles import make_oracle
from fer_search.search.trials.checkpoint_retention import KEPT_WEIGHTS, Unpruned, prune_checkpoints
from fer_search.training.checkpoint import BEST_FILE


def begin(oracle, folder):
    """Begin a trial whose folder holds weights."""
    trial = oracle.propose()
    with h5py.File(folder.trial_dir(trial.trial_id) / BEST_FILE, "w") as file:
        file["kernel"] = [1.0]
    return trial


def test_only_the_best_trials_keep_weights_and_only_their_folders_are_looked_into_again(tmp_path):
    choices = kt.HyperParameters()
    choices.Float("rate", 1e-4, 1e-1, sampling="log")
    oracle = make_oracle("random", choices, tmp_path, seed=0, max_trials=None, max_epochs=1, factor=3)
    oracle.concurrent = True
    folder, unpruned, best = RunFolder(tmp_path), Unpruned(), {}
    running = begin(oracle, folder)  # begins first and never ends
    for number in range(1, 13):
        trial = begin(oracle, folder)
        assert trial.trial_id == f"{number:04d}"
        oracle.finish(trial, [{"epoch": 1, "val_accuracy": number * 7 % 13 / 13}])
        prune_checkpoints(folder, oracle, unpruned=unpruned)
        best = sorted(range(1, number + 1), key=lambda n: n * 7 % 13, reverse=True)[:KEPT_WEIGHTS]
        expected = {running.trial_id, *(f"{n:04d}" for n in best)}
        assert {path.parent.name[-4:] for path in tmp_path.glob(f"*/{BEST_FILE}")} == expected
        assert unpruned.ids == expected
    prune_checkpoints(folder, oracle)  # as after a restart, with nothing in memory
    assert {path.parent.name[-4:] for path in tmp_path.glob(f"*/{BEST_FILE}")} == expected


def test_the_limit_counts_trials_that_wait_and_reserves_room_for_those_that_run(tmp_path):
    """After a resume with fewer workers, trials that have checkpoints wait for one; a running trial counts once."""
    choices = kt.HyperParameters()
    choices.Float("rate", 1e-4, 1e-1, sampling="log")
    oracle = make_oracle("random", choices, tmp_path, seed=0, max_trials=None, max_epochs=1, factor=3)
    oracle.concurrent = True
    folder = RunFolder(tmp_path)
    for score in (0.5, 0.4):
        oracle.finish(begin(oracle, folder), [{"epoch": 1, "val_accuracy": score}])
    waiting, running = begin(oracle, folder).trial_id, begin(oracle, folder).trial_id
    size = (folder.trial_path("0000") / BEST_FILE).stat().st_size

    prune_checkpoints(folder, oracle, 4 * size, {running: size})
    assert (folder.trial_path("0001") / BEST_FILE).exists()
    prune_checkpoints(folder, oracle, 4 * size - 1, {running: size})
    assert not (folder.trial_path("0001") / BEST_FILE).exists()
    for trial_id in ("0000", waiting, running):
        assert (folder.trial_path(trial_id) / BEST_FILE).exists()
