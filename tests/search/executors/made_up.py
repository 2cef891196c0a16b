"""Trainings that are made up, in workers that import no backend: what Ray, leases and the window do is real.

Run as a script it is a driver: python made_up.py SPACE FOLDER WORKERS OPTIONS-AS-JSON [ADDRESS-OF-CLUSTER]
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from fer_search.design import Design
from fer_search.files import write_atomic
from fer_search.runfolder.epochs import METRIC_COLUMNS, append_epoch, read_epochs, rewrite_epochs
from fer_search.runfolder.seal import HDF5_SIGNATURE, make_seal, state_label
from fer_search.search.executors.outcome import Outcome
from fer_search.search.executors.worker import Worker, WorkerInfo

PAUSE = 0.1  # seconds an epoch
THREADS = 3  # of a worker; the tests themselves have 1


def write_state(path, state, seed, number, epoch):
    """Write what stands for a checkpoint, sealed as one is."""
    content = HDF5_SIGNATURE.ljust(40, b"\0") + (256).to_bytes(8, "little") + state.encode() + b"\n"
    content = content.ljust(256, b"\0")
    seal = make_seal(state_label(seed, number, epoch))(memoryview(content))
    write_atomic(path, lambda beside: beside.write_bytes(content + seal))


def read_state(path):
    return path.read_bytes()[48:].split(b"\n")[0].decode()


def checkpoint(folder, epoch):
    return folder / f"epoch_{epoch:04d}.weights.h5"


@dataclass(frozen=True)
class Number:
    number: int
    design: Design = field(default_factory=Design)


@dataclass(frozen=True)
class LightJob:
    """A training whose every number follows from seed, trial and epoch; goes on from its last checkpoint."""

    trial: Number
    folder: Path
    epochs: int
    before: int
    parent: Path | None
    seed: int

    @property
    def trial_id(self):
        return f"{self.trial.number:04d}"

    def run(self, data, stop, progress=None, epoch=None):
        table = self.folder / "epochs.csv"
        rows = [row for row in read_epochs(table) if row["epoch"] <= self.last()]
        if table.exists():
            rewrite_epochs(table, rows)
        done = self.before + len(rows)
        start = checkpoint(self.folder, done) if rows else self.parent and checkpoint(self.parent, self.before)
        state = read_state(start) if start else f"{self.seed} {self.trial.number}"
        for number in range(done + 1, self.epochs + 1):
            time.sleep(PAUSE)
            if stop():
                return Outcome("stopped")
            state = hashlib.sha256(f"{state} {number}".encode()).hexdigest()
            row = dict.fromkeys(METRIC_COLUMNS, int(state[:8], 16) / 2**32) | {"epoch": number, "seconds": PAUSE}
            write_state(checkpoint(self.folder, number), state, self.seed, self.trial.number, number)
            if row["val_accuracy"] > max((r["val_accuracy"] for r in rows), default=-1):
                write_state(self.folder / "best.weights.h5", state, self.seed, self.trial.number, "best")
            append_epoch(table, row)
            checkpoint(self.folder, number - 1).unlink(missing_ok=True)
            rows.append(row)
            if epoch is not None:
                epoch(row)
        return Outcome("completed", rows)

    def last(self):
        return max((int(path.name[6:10]) for path in self.folder.glob("epoch_*.h5")), default=0)


class LightWorker(Worker):
    """Starts without a backend, if its environment limits it to ``THREADS`` and to the CPU."""

    def start(self):
        from fer_search.backend import versions

        limits = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
        if (found := [os.environ.get(name) for name in limits]) != [str(THREADS), str(THREADS), ""]:
            raise RuntimeError(f"{limits} are {found}")
        return WorkerInfo(socket.gethostname(), os.getpid(), "none", "tensorflow", versions(), False, 0)

    def run(self, job, run, token):
        if "keras" in sys.modules:
            raise RuntimeError("what a driver sends must not import Keras, which takes longer than a whole search here")
        return super().run(job, run, token)


def made_up(job):
    """Return a job with the same folder and the same names, whose training is made up."""
    from fer_search.search.executors.job import Job

    class MadeUpJob(Job):
        def with_absolute_paths(self):
            trial = self.trial
            parent = trial.parent and trial.parent.absolute()
            before = len(trial.history)
            return LightJob(Number(trial.number), trial.folder.absolute(), trial.epochs, before, parent, trial.seed)

        def run(self, *arguments, **hooks):
            return self.with_absolute_paths().run(*arguments, **hooks)

    return MadeUpJob(**{field.name: getattr(job, field.name) for field in dataclasses.fields(Job)})


def install(patch, workers, address=None):
    """Make searches in this process use made-up trainings, here or on light workers.

    Args:
        patch: ``setattr(object, name, value)``.
        workers: Number of Ray workers; 1 for none.
        address: Cluster to join; None for one of their own.
    """
    from fer_search.data.dataset import Dataset
    from fer_search.data.toy import draw_faces
    from fer_search.search import opening
    from fer_search.search import run as run_module
    from fer_search.search.executors import here
    from fer_search.search.trials.job_maker import JobMaker

    images, labels, splits = draw_faces(420, 210)
    faces = Dataset(images, labels, splits, "toy faces", "toy", toy=True)
    prepare = JobMaker.prepare

    def prepare_made_up(self, proposed):
        prepared = prepare(self, proposed)
        return dataclasses.replace(prepared, job=made_up(prepared.job))

    patch(JobMaker, "prepare", prepare_made_up)
    patch(run_module, "load_dataset", lambda source, **options: faces)
    patch(opening, "estimate_search", lambda *arguments: (40.0, 80.0))
    patch(here, "store_predictions", lambda *arguments: None)
    if workers == 1:
        patch(sys.modules[made_up.__module__], "PAUSE", 0.0)
        return
    from fer_search.search.executors.ray_cluster import Cluster, prepare_environment

    prepare_environment(address)
    from fer_search.search.executors.ray_executor import RayExecutor
    from fer_search.search.executors.ray_worker import WorkerOptions

    @contextlib.contextmanager
    def open_light(settings, space, data, run, stop, say):
        options = WorkerOptions(workers, THREADS)
        cluster = Cluster(address, workers, 10**6, options.environment())
        executor = RayExecutor(options, cluster, run, stop, LightWorker)
        executor.load(data)
        executor.predict = lambda *arguments, **options: None
        try:
            yield executor
        finally:
            executor.close()

    patch(run_module, "open_executor", open_light)


def search(space, folder, workers, out, **options):
    """Run a search of made-up trainings; ``install`` comes first. Returns the exit code."""
    from rich.console import Console

    from fer_search.search.display import Lines
    from fer_search.search.run import run_search
    from fer_search.search.settings import Settings

    given = {"limit_train": 64, "workers": workers} | options
    return run_search(Settings(Path(space), results_dir=Path(folder), **given), Lines(Console(file=out, width=200)))


if __name__ == "__main__":
    from fer_search import backend

    backend.start()
    install(setattr, int(sys.argv[3]), *sys.argv[5:])
    sys.exit(search(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.stderr, **json.loads(sys.argv[4])))
