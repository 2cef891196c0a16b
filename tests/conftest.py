"""What all tests share: a cache folder of their own, small data sets, and the real FER2013 where it is at hand."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Before NumPy and TensorFlow are loaded: the suite's arrays are small, and teams of threads slow the workers down.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import hypothesis
import numpy as np
import pytest
from once import make_once, shared_folder

from fer_search import backend
from fer_search.data.dataset import Dataset

hypothesis.settings.register_profile("suite", deadline=None)  # an example takes longer on a busy machine
hypothesis.settings.load_profile("suite")

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("FER_SEARCH_SHARED", ROOT.parent / "shared"))

gc.disable()  # while the tests are collected, which imports Keras


def pytest_collection_finish() -> None:
    """Exclude libraries and tests from the garbage collections of each trial, as ``backend.start`` does for a run."""
    gc.enable()
    gc.collect()
    gc.freeze()


MEMORY_FOLDER = Path("/dev/shm")  # Linux's file system in memory
MEMORY_NEEDED = 4 * 2**30  # bytes; the temporary files of the whole suite take less than one


def pytest_configure() -> None:
    """Do not wait for the disk: no test survives a power cut. What is synced, and when, tests/crash records."""
    os.fsync = lambda descriptor: None
    if MEMORY_FOLDER.is_dir() and shutil.disk_usage(MEMORY_FOLDER).free > MEMORY_NEEDED:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_FOLDER))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["FER_SEARCH_CACHE"] = str(shared_folder(tmp_path_factory) / "cache")
    os.environ.pop("FER_SEARCH_DATA", None)
    backend.start()  # before any test computes: it sets up how


@pytest.fixture(autouse=True, scope="session")
def _fast_start_of_trials(_own_cache: None) -> None:
    """Start trials faster than a run does, because most tests train for a few steps.

    More traced programs are kept, as many tests train the same few networks; and graphs are run as they were traced,
    because optimising them takes longer than running them. ``make soak`` and subprocesses do as a run does.
    """
    if backend.choose()[0] != "tensorflow" or os.environ.get("FER_SEARCH_SOAK"):
        return
    import tensorflow as tf

    from fer_search.training import tensorflow_programs

    tensorflow_programs.MAX_SHARED = 30
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


MODULES_BETWEEN_FULL_COLLECTIONS = 10
_modules = itertools.count(1)


@pytest.fixture(autouse=True, scope="module")
def _short_garbage_collections() -> Iterator[None]:
    """Exclude what a module's tests imported, as above: each trial ends with a collection.

    What of it has become garbage since, such as the models of a module's last test, is collected now and then.
    """
    yield
    if next(_modules) % MODULES_BETWEEN_FULL_COLLECTIONS == 0:
        gc.unfreeze()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _forget_oracles() -> Iterator[None]:
    """Let the oracles of a test go: Keras Tuner keeps all of a process, which make each garbage collection slower."""
    yield
    if (module := sys.modules.get("keras_tuner.src.engine.oracle")) is not None:
        module.LOCKS.clear()
        module.THREADS.clear()


@pytest.fixture(scope="session")
def fer2013_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real FER2013 as .npz."""
    script = SHARED / "data" / "unpack_fer2013.py"
    if not script.exists():
        pytest.skip(f"the real FER2013 is not at hand: no {script.name} in $FER_SEARCH_SHARED")

    def unpack(out: Path) -> None:
        subprocess.run([sys.executable, script, out, "--as", "npz"], check=True, capture_output=True)

    return make_once(tmp_path_factory, "fer2013", unpack) / "fer2013.npz"


@pytest.fixture(scope="session")
def faces() -> Dataset:
    """A few toy faces: 420 to train on, 210 to test on."""
    from fer_search.data.toy import draw_faces

    images, labels, splits = draw_faces(420, 210)
    return Dataset(images, labels, splits, "toy faces", "toy", toy=True)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def tiny_space(tmp_path: Path) -> Path:
    """A space whose designs train in a moment."""
    path = tmp_path / "tiny.py"
    path.write_text(
        "from fer_search.design import Augmentation, Design, Head, Optimisation, Plain\n"
        "def design(hp):\n"
        "    filters = hp.Choice('filters', [4, 2, 6])\n"
        "    return Design(\n"
        "        network=Plain(stages=((filters,),),\n"
        "                      downsample=hp.Choice('downsample', ['strided', 'max_pool'])),\n"
        "        head=Head(dropout=hp.Choice('dropout', [0.0, 0.2])),\n"
        "        augmentation=Augmentation(rotation=10, flip=True, mixup_alpha=0.3,\n"
        "                                  cutout=hp.Choice('cutout', [0, 8])),\n"
        "        optimisation=Optimisation(batch_size=32,\n"
        "                                  learning_rate=hp.Float('rate', 1e-3, 1e-2, sampling='log')),\n"
        "    )\n"
        "baselines = {'plain': {}, 'cut': {'cutout': 8}}\n"
        "references = {'plain': 0.5, 'published': 0.4}\n"
    )
    return path


WINNER_SPACE = """
from fer_search.design import Augmentation, Design, Evaluation, Optimisation, Residual

def design(hp):
    views = hp.Choice("views", ["one", "flip", "ten_crop"])
    return Design(
        network=Residual(stages=((4,), (8,)), downsample=hp.Choice("downsample", ["strided", "blur_pool"]), noise=0.1),
        augmentation=Augmentation(flip=True, crop=40 if views == "ten_crop" else 0),
        evaluation=Evaluation(views=views),
        optimisation=Optimisation(batch_size=32, precision=hp.Choice("precision", ["float32", "bfloat16"]), ema=0.9),
    )

baselines = {
    "plain": {},
    "flipped": {"views": "flip", "precision": "bfloat16", "downsample": "blur_pool"},
    "cropped": {"views": "ten_crop"},
}
"""


@pytest.fixture(scope="session")
def searched_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search on toy faces: three designs, one epoch each. Do not write to it."""
    from rich.console import Console

    from fer_search.search import opening
    from fer_search.search.display import Lines
    from fer_search.search.run import run_search
    from fer_search.search.settings import Settings

    def search(folder: Path) -> None:
        (folder / "small.py").write_text(WINNER_SPACE)
        settings = Settings(
            folder / "small.py", data="toy", results_dir=folder, baselines="only", max_epochs=1, limit_train=280
        )
        with pytest.MonkeyPatch.context() as patch, (folder / "out.txt").open("w") as out:
            patch.setattr(opening, "estimate_search", lambda *arguments: (40.0, 80.0))
            assert run_search(settings, Lines(Console(file=out))) == 0

    return make_once(tmp_path_factory, "winner", search) / "small"


@pytest.fixture(scope="session")
def confirmed_run(searched_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, confirmed: "flipped" with two seeds. Do not write to it."""
    from rich.console import Console

    from fer_search.confirm.run import run_confirm
    from fer_search.confirm.settings import Settings

    def confirm(folder: Path) -> None:
        run = shutil.copytree(searched_run, folder / "small")
        with (folder / "out.txt").open("w") as out:
            settings = Settings(run, trials=("flipped",), seeds=2, epochs=1)
            assert run_confirm(settings, Console(file=out, width=200)) == 0

    return make_once(tmp_path_factory, "confirmed", confirm) / "small"


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process; return exit code, stdout and stderr."""

    from fer_search import cli

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fer-search", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run
