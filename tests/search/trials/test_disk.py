"""How much room a search takes, and what it does where there is none."""

import io
import os
import shutil
import subprocess

import pytest
from rich.console import Console

import fer_search.files
from fer_search.data.spec import DataSpec
from fer_search.design import Design, Optimisation, Plain
from fer_search.errors import UserError
from fer_search.files import write_atomic
from fer_search.models import Cost, measure_cost
from fer_search.runfolder.epochs import METRIC_COLUMNS
from fer_search.runfolder.schema import MID_EPOCH_FILE
from fer_search.runs.doctor import find_problems
from fer_search.search import opening
from fer_search.search import run as run_module
from fer_search.search.display import Lines
from fer_search.search.executors import job as job_module
from fer_search.search.run import run_search
from fer_search.search.settings import Settings
from fer_search.search.trials import checkpoint_retention, job_maker
from fer_search.search.trials.checkpoint_retention import max_trial_bytes, used_bytes
from fer_search.training import checkpoint_writer
from fer_search.training.trial import Trial, _build

FIGURE_1 = Cost(parameters=11_494_151, flops=8_005_688_320)
CHECKPOINT = 138_117_576  # bytes of its checkpoint, with Adam's state; measured
WEIGHTS = 46_100_000


@pytest.fixture
def disk(monkeypatch, tmp_path):
    """A search of networks of Figure 1's size, whose files are as large on paper; gives the most bytes at any instant.

    Looked at before every file is replaced, when the old and the new one are there.
    """
    conftest = job_module.train.__globals__
    monkeypatch.setitem(conftest, "CHECKPOINT_BYTES", CHECKPOINT)
    monkeypatch.setattr(job_maker, "measure_cost", lambda *arguments: FIGURE_1)
    real, most = job_module.train, {"bytes": 0, "again": 0, "again_bytes": 0}
    again = []

    def fsync(handle):
        used = used_bytes(tmp_path / "tiny")
        most["bytes"] = max(most["bytes"], used)
        if again:
            most["again_bytes"] = max(most["again_bytes"], used)

    def strip(path, stripped):
        if path.exists() and path.stat().st_nlink == 1 and path.stat().st_size > WEIGHTS:
            write_atomic(path, lambda beside: os.truncate(beside, WEIGHTS))

    def train(trial, data, hooks):
        progress = hooks.on_progress

        def with_a_part(at):
            progress(at)
            write_atomic(trial.folder / MID_EPOCH_FILE, lambda beside: os.truncate(beside, CHECKPOINT))

        hooks.on_progress = with_a_part
        again[:] = [trial.folder] if trial.folder.name == "again" else []
        most["again"] += len(again)
        return real(trial, data, hooks)

    monkeypatch.setattr(fer_search.files.os, "fsync", fsync)
    monkeypatch.setattr(checkpoint_retention, "_strip_optimizer_state", strip)
    monkeypatch.setattr(job_module, "train", train)
    return most


def test_hyperband_of_figure_1_takes_less_than_a_gigabyte_at_every_instant(search, disk, tmp_path):
    """With the settings' own limit; parents that are trained again included.

    EPOCHS=81 makes 213 trials of it, 59 of whose parents are trained again: at most 0.921 GB at any instant.
    """
    epochs = int(os.environ.get("EPOCHS", "27"))
    assert search(tmp_path, tuner="hyperband", max_trials=None, max_epochs=epochs, baselines="none") == 0
    assert disk["again"] > 0
    assert disk["again_bytes"] > 3 * CHECKPOINT
    assert 0.9e9 < disk["bytes"] <= 1e9, disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB."""
    path = tmp_path / "small_disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False) if shutil.which("mount") else None
    if done is None or done.returncode:
        why = done.stderr.strip() if done else "no mount command"
        pytest.skip(f"no small file system can be mounted here ({why}); as root, or under unshare -rm, one can")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def fill(disk, room):
    """Leave so many bytes of a file system free."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(b"x" * max(free - room, 0))


@pytest.mark.slow
def test_a_search_on_a_full_disk_stops_and_goes_on_once_there_is_room(
    small_disk, tiny_space, tmp_path, monkeypatch, faces, state
):
    """The real training on a real file system, which fills at its first file, in a checkpoint, and so on."""
    monkeypatch.setattr(run_module, "load_dataset", lambda source, **options: faces)
    monkeypatch.setattr(opening, "estimate_search", lambda *arguments: (40.0, 80.0))

    def search(folder):
        given = {"tuner": "random", "max_trials": 2, "max_epochs": 2, "baselines": "none"}
        settings = Settings(tiny_space, results_dir=folder, limit_train=32, **given)
        return run_search(settings, Lines(Console(file=io.StringIO())))

    run, places = small_disk / "tiny", []
    for room in (0, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000):
        fill(small_disk, room)
        refusal = None
        try:
            search(small_disk)
        except UserError as full:
            refusal = full
        if refusal is None:
            break  # it has enough room
        assert "no room left on the disk of " in str(refusal)
        assert "free some space and re-run the same command" in str(refusal)
        assert refusal.exit_code == 4
        if (run / "oracle.json").exists():
            assert [problem.text for problem in find_problems(run)] == []
        places.append(sum(path.is_file() for path in run.rglob("*")))
    assert len(set(places)) >= 3  # it came to several places
    (small_disk / "filler").unlink()
    assert search(small_disk) == search(tmp_path / "whole") == 0
    assert state(run) == state(tmp_path / "whole" / "tiny")


@pytest.mark.parametrize("wait", [0.0, 1e9])
@pytest.mark.parametrize(("ema", "files", "of_parameter"), [(0.0, 3, 12), (0.99, 4, 16)])
def test_the_room_of_a_running_trial_is_what_it_takes(tmp_path, monkeypatch, ema, files, of_parameter, wait):
    """Beside the checkpoints of two epochs that of its best; an average is another number of every parameter.

    Where epochs are so short that few get a checkpoint, it is no more.
    """
    monkeypatch.setattr(checkpoint_writer, "MIN_TRAIN_WRITE_RATIO", wait)
    design = Design(network=Plain(stages=((32,), (64,), (256,))), optimisation=Optimisation(ema=ema))
    trial, most = Trial(design, 4, tmp_path / "trial_0000", 0, 0), []
    trial.folder.mkdir()
    model = _build(trial, DataSpec(), pretrained=False)
    model.optimizer.build(model.trainable_variables)
    monkeypatch.setattr(fer_search.files.os, "fsync", lambda handle: most.append(used_bytes(tmp_path)))
    keeping = checkpoint_writer.CheckpointWriter(trial, model, [])
    for epoch, accuracy in enumerate((0.2, 0.4, 0.1, 0.5) if not wait else (0.2, 0.4, 0.1, 0.3), start=1):
        keeping.record(dict.fromkeys(METRIC_COLUMNS, accuracy) | {"epoch": epoch})
    parameters = measure_cost(design).parameters
    if not wait:
        assert files * of_parameter * parameters == pytest.approx(max(most), rel=0.1)
    assert max(most) <= 1.1 * max_trial_bytes(design, parameters)  # a small network's file has more that is no number
