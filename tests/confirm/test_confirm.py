"""The best designs of a run trained again on all training images, and tested once."""

import dataclasses
import os

import keras
import numpy as np
import pytest
from crash.recorder import Recorder, crash_states, torn_appends, write_tree

from fer_search.confirm import job as job_module
from fer_search.confirm import network, trainings
from fer_search.confirm import run as confirm_module
from fer_search.confirm.candidates import choose_candidates
from fer_search.confirm.testset import make_test_set
from fer_search.data.dataset import SPLITS
from fer_search.design import Custom, Design
from fer_search.errors import UserError
from fer_search.report import load_designs, load_trials, to_markdown
from fer_search.report.tables.confirmed import confirmed_lines, differences, in_words, load_confirmation, notes
from fer_search.runfolder import confirmation, dataset
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.search.executors.here import Here
from fer_search.search.executors.request import WorkerRequest
from fer_search.search.trials.signals import Stop
from fer_search.training.trial import Stopped, Trial


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def record(run):
    return read_json(run / "confirm" / "confirm.json")


def test_it_trains_on_all_training_images_and_tests_the_network_that_it_keeps(confirm, run, copied):
    assert confirm(top=1, seeds=1) == 0
    found, folder = record(run), run / "confirm" / "look_1" / "training_00"
    train = copied.splits == 0
    assert found["trained"] == train.sum()
    rows = read_epochs(folder / "epochs.csv")
    assert len(rows) == found["candidates"][0]["epochs"]
    assert all(np.isnan(row["val_loss"]) for row in rows)
    with np.load(folder / "test.npz") as kept:
        probabilities, labels = kept["probabilities"], kept["labels"]
    images = copied.images[~train][..., None].astype("float32")
    again = keras.models.load_model(folder / "model.keras").predict(images, verbose=0)
    np.testing.assert_allclose(probabilities, again, atol=2e-3)
    tests = found["trainings"][0]["tests"]
    hit = (again.argmax(axis=1) == labels)[copied.splits[~train] == 1]
    assert tests["public_test"]["accuracy"] == pytest.approx(hit.mean(), abs=1.5 / len(hit))
    sizes = {part: tests[part]["images"] for part in tests}
    assert sizes == {"public_test": 105, "public_test_new": 104, "private_test": 105, "private_test_new": 105}
    assert not list(folder.glob("*.h5"))
    assert any(str(folder / "model.keras") in note for note in notes(run))
    assert "Toy data: synthetic faces" in (run.parent / "out.txt").read_text()


@pytest.mark.usefixtures("made_up")
def test_trials_of_one_design_are_one_candidate(confirm, run):
    assert confirm(top=3, seeds=2) == 0
    found = record(run)
    assert sorted(one["name"] for one in found["candidates"]) == ["plain", "pooled"]
    assert [(one["candidate"], one["seed"]) for one in found["trainings"]] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    designs = load_designs(run)  # ranked by the means over their seeds
    assert [one["trial"] for one in found["candidates"]] == list(designs["trial"])
    assert [one["val_accuracy"] for one in found["candidates"]] == pytest.approx(list(designs["accuracy"]))


def test_a_design_is_trained_to_its_best_epoch_or_to_its_schedules_end(run):
    trials = load_trials(run).drop_duplicates("name").set_index("name")
    plain, pooled = sorted(choose_candidates(run, 2, (), 9, None), key=lambda one: one.title)
    assert plain.epochs == trials.loc["plain", "best_epoch"]
    assert pooled.epochs == pooled.horizon == plain.horizon == 9
    assert choose_candidates(run, 1, (plain.trial,), 9, 1)[0].horizon == 0  # --epochs 1 has a schedule of its own
    with pytest.raises(UserError, match="plateau schedule"):
        choose_candidates(run, 1, (plain.trial,), 9, 3)


@pytest.mark.usefixtures("made_up")
def test_a_shorter_training_has_the_low_resolution_epochs_of_the_search(confirm, monkeypatch):
    horizons = {}

    def note_horizon(trial, data, hooks, real=job_module.train):
        horizons[trial.design.optimisation.schedule] = trial.horizon
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", note_horizon)
    assert confirm(top=2, seeds=1) == 0
    assert horizons == {"plateau": 2, "cosine": 2}  # the search's --max-epochs


@pytest.mark.usefixtures("made_up")
def test_killed_at_any_write_it_goes_on_to_the_same_end(confirm, run, monkeypatch):
    assert confirm(top=2, seeds=2) == 0
    whole = record(run)
    for left in range(20):
        confirm_module.shutil.rmtree(run / "confirm")
        count = left

        def dying(path, write, real=network.write_atomic):
            nonlocal count
            count -= 1
            if count < 0:
                raise Killed
            real(path, write)

        with monkeypatch.context() as patch:
            patch.setattr(network, "write_atomic", dying)
            patch.setattr(confirmation, "write_atomic", dying)
            try:
                confirm(top=2, seeds=2)
            except Killed:
                pass
            else:
                break
        assert confirm(top=2, seeds=2) == 0
        assert record(run) | {"created": ""} == whole | {"created": ""}
    assert left == 8  # two files a training


@pytest.mark.usefixtures("made_up")
def test_every_state_of_the_disk_is_resumed_to_the_same_end(confirm, run, finished):
    """From a recording of all file operations, as in tests/crash; ``make soak`` tries every state."""
    recorder = Recorder(run)
    with recorder.recording():
        assert confirm(top=2, seeds=2) == 0
    whole = record(run)
    before = {str(path.relative_to(finished)): path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    folders = {str(path.relative_to(finished)): None for path in finished.rglob("*") if path.is_dir()}
    states = list(crash_states(torn_appends(recorder.operations), folders | before))
    step = 1 if os.environ.get("FER_SEARCH_SOAK") else len(states) // 8
    for tree in states[::step]:
        confirm_module.shutil.rmtree(run)
        write_tree(tree, run)
        assert confirm(top=2, seeds=2) == 0
        assert record(run) | {"created": ""} == whole | {"created": ""}


@pytest.mark.usefixtures("made_up")
def test_another_choice_after_the_look_is_refused_and_counted_when_forced(confirm, run):
    assert confirm(top=1, seeds=1) == 0
    with pytest.raises(UserError, match=r"--seeds was 1, is now 2") as error:
        confirm(top=1, seeds=2)
    assert error.value.exit_code == 5
    assert confirm(top=1, seeds=2, overwrite=True) == 0
    assert record(run)["looks"] == 2
    assert any("evaluated 2 times" in line for line in notes(run))
    assert [path.name for path in (run / "confirm").glob("look_*")] == ["look_2"]


@pytest.mark.usefixtures("made_up")
def test_a_confirmation_that_tested_nothing_was_no_look(confirm, run, monkeypatch):
    def stopped(trial, data, hooks):
        (trial.folder / "partial.weights.h5").write_text("of another design")
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(job_module, "train", stopped)
        assert confirm(top=1, seeds=1) == 130
    assert confirm(top=1, seeds=2, overwrite=True) == 0
    assert record(run)["looks"] == 1
    assert not list(run.rglob("partial.weights.h5"))


@pytest.mark.usefixtures("made_up")
def test_a_confirmation_that_has_not_ended_says_so(confirm, run, monkeypatch):
    begun = []

    def stops_in_the_second(trial, data, hooks, real=job_module.train):
        begun.append(trial)
        if len(begun) > 1:
            raise Stopped
        return real(trial, data, hooks)

    with monkeypatch.context() as patch:
        patch.setattr(job_module, "train", stops_in_the_second)
        assert confirm(top=1, seeds=2) == 130
    assert any(note.startswith("Not finished: 1 of 2 trainings.") for note in notes(run))
    assert confirm(top=1, seeds=2) == 0
    assert not any(note.startswith("Not finished") for note in notes(run))


def test_a_run_that_validated_on_the_test_images_cannot_be_confirmed(confirm, run):
    file = run / "run.json"
    write_json(file, read_json(file) | {"protocol": "report"})
    with pytest.raises(UserError, match="validated on the test images"):
        confirm()


@pytest.mark.usefixtures("made_up")
def test_the_table_gives_means_over_seeds_with_the_test_splits_apart(confirm, run):
    assert confirm(top=1, seeds=3) == 0
    found, one = load_confirmation(run), record(run)
    values = [training["tests"]["public_test"]["accuracy"] for training in one["trainings"]]
    row = found[(found["part"] == "public_test") & (found["networks"] == "single")].iloc[0]
    assert row["accuracy"] == pytest.approx(np.mean(values))
    assert (row["least"], row["most"], row["seeds"], row["images"]) == (min(values), max(values), 3, 105)
    assert row["low"] < row["accuracy"] < row["high"]
    assert in_words(found).startswith("Tested: ")
    assert "on public test" in to_markdown(run)
    lines = confirmed_lines(found)
    assert [line[3] for line in lines] == ["105 public test", "105 private test"] * 2


@pytest.mark.usefixtures("made_up")
def test_trainings_have_random_numbers_and_losses_of_their_own(confirm, run, monkeypatch):
    """Numbers that no trial of a search has; a plateau schedule follows the validation losses of the search's trial."""
    trials, real = [], job_module.train
    monkeypatch.setattr(job_module, "train", lambda trial, *more: trials.append(trial) or real(trial, *more))
    assert confirm(top=2, seeds=2) == 0
    assert len({trial.number for trial in trials}) == 4
    assert min(trial.number for trial in trials) >= 1_000_000
    first, second = (entry["title"] for entry in record(run)["candidates"])
    assert notes(run)[0].startswith(f"{first} minus {second}: ")
    assert "points on private test (95% " in notes(run)[0]
    for trial, entry in zip(trials, 2 * record(run)["candidates"], strict=True):
        searched = read_epochs(run / f"trial_{entry['trial']}" / "epochs.csv")
        assert trial.schedule_losses == tuple(row["val_loss"] for row in searched)


def test_a_test_image_is_new_unless_its_pixels_were_trained_on(copied):
    """The first training image has a copy in the public test; that counts only where the image was trained on."""
    train = np.flatnonzero(copied.splits == 0)
    for trained, count in ((train, 104), (train[1:], 105)):
        parts = make_test_set(copied, trained).parts
        assert parts["public_test"].sum() == 105
        assert parts["public_test_new"].sum() == count


@pytest.mark.usefixtures("made_up")
def test_a_test_split_of_training_images_alone_has_no_part_without_duplicates(confirm, run, copied, monkeypatch):
    images, splits = copied.images.copy(), copied.splits
    public = splits == SPLITS.index("public_test")
    images[public] = images[np.flatnonzero(splits == 0)[: public.sum()]]
    leaked = dataclasses.replace(copied, images=images)
    assert list(make_test_set(leaked, np.flatnonzero(splits == 0)).parts) == [
        *("public_test", "private_test", "private_test_new")
    ]
    monkeypatch.setattr(dataset, "load_dataset", lambda source, **options: leaked)
    info = read_json(run / "run.json")
    write_json(run / "run.json", info | {"data": info["data"] | {"fingerprint": leaked.fingerprint}})
    assert confirm(top=1, seeds=2) == 0
    found = load_confirmation(run)
    assert set(found["part"]) == {"public_test", "private_test", "private_test_new"}
    assert [line[7] == "\N{EN DASH}" for line in confirmed_lines(found)] == [True, False] * 2


def test_differences_of_designs_include_the_sampling_of_test_images(tmp_path):
    """The interval over seeds, and that of McNemar's comparison, in quadrature."""
    rng, images = np.random.default_rng(0), 2917
    labels = rng.integers(0, 7, images)
    candidates, trainings = [{"title": "a"}, {"title": "b"}], []
    for seed, candidate, wrong in ((0, 0, 0.3), (0, 1, 0.35), (1, 0, 0.31), (1, 1, 0.36)):
        answers = np.where(rng.random(images) < wrong, (labels + 1) % 7, labels)
        folder = confirmation.training_dir(tmp_path, 1, seed * 2 + candidate)
        folder.mkdir(parents=True)
        confirmation.write_test_predictions(folder, np.eye(7)[answers], labels)
        accuracy = float((answers == labels).mean())
        tests = {"test": {"accuracy": accuracy, "images": images}}
        trainings.append({"candidate": candidate, "seed": seed, "tests": tests})
    record = {"candidates": candidates, "trainings": trainings, "looks": 1}
    (sentence,) = differences(tmp_path, record)
    hits = {}
    for training in trainings:
        place = confirmation.training_dir(tmp_path, 1, training["seed"] * 2 + training["candidate"])
        hits.setdefault(training["candidate"], []).append(confirmation.read_test_hits(place))
    per_image = np.mean(hits[0], axis=0) - np.mean(hits[1], axis=0)
    seeds = [[hit.mean() for hit in hits[candidate]] for candidate in (0, 1)]
    pooled = np.sqrt((np.var(seeds[0], ddof=1) + np.var(seeds[1], ddof=1)) / 2)
    half = np.hypot(4.302653 * pooled, 1.959964 * per_image.std() / np.sqrt(images))
    low, high = (f"{100 * (per_image.mean() + sign * half):+.1f}" for sign in (-1, 1))
    assert sentence == f"a minus b: {100 * per_image.mean():+.1f} points on test (95% {low} to {high})."
    confirmation.training_dir(tmp_path, 1, 0).joinpath("test.npz").unlink()
    (unpaired,) = differences(tmp_path, record)
    assert unpaired != sentence  # as if they had been tested on different images


@pytest.mark.usefixtures("made_up")
def test_workers_execute_the_runs_space_only_for_a_network_that_it_defines(confirm, run, tmp_path, monkeypatch):
    given, executed = [], []

    def in_this_process(request, data, size, space, folder, stop):
        given.append((space, data))
        return Here(data, stop)

    monkeypatch.setattr(trainings, "open_workers", in_this_process)
    monkeypatch.setattr(job_module, "load_functions", executed.append)
    assert confirm(top=1, seeds=1, workers=WorkerRequest(2)) == 0
    ((space, data),) = given
    assert (space, executed) == (None, [])
    custom = Trial(Design(network=Custom("mine")), 1, tmp_path / "training", seed=0, number=0)
    custom.folder.mkdir()
    assert job_module.ConfirmJob(custom).run(data, Stop()).status == "completed"
    assert [space["text"] for space in executed] == [read_json(run / "run.json")["space"]["text"]]
