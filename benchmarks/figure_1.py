"""The network that the benchmarks train: figure_1 of search_spaces/report.py, on real or toy faces."""

from __future__ import annotations

import atexit
import dataclasses
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import ROOT, Worker, device, say

from fer_search.data.load import load_dataset
from fer_search.design import Augmentation, Design

VALIDATED = 7  # number of images; makes validation negligible where training is measured


class Faces(NamedTuple):
    """Training images, uint8 (n, 48, 48), their labels, uint8 (n,), and the data set's name."""

    images: np.ndarray
    labels: np.ndarray
    name: str


def load_faces(source: str, count: int, again: bool = True) -> Faces:
    """Return training images in a fixed random order.

    Args:
        source: Value for fer-search's ``--data``; "auto" uses FER2013 if found, else toy faces.
        count: Number of images.
        again: Whether to repeat images if the data set has too few; otherwise that is an error.
    """
    dataset = load_dataset(source)
    rows = np.random.default_rng(0).permutation(dataset.rows("train"))
    if count > len(rows) and not again:
        raise SystemExit(f"{dataset.name} has {len(rows):,} training images, not {count:,}; give --data FER2013")
    rows = np.resize(rows, count)
    return Faces(np.array(dataset.images[rows]), np.array(dataset.labels[rows]), dataset.name)


def make_design(width: float, batch_size: int, precision: str, augmented: bool = True) -> Design:
    """Return the figure_1 design at a width, with or without augmentation."""
    from fer_search.space import load_space

    space = load_space(ROOT / "search_spaces" / "report.py", width=width, batch_size=batch_size)
    design = space.design(space.baseline("figure_1"))
    optimisation = dataclasses.replace(design.optimisation, precision=precision)
    augmentation = design.augmentation if augmented else Augmentation()
    return dataclasses.replace(design, optimisation=optimisation, augmentation=augmentation)


def make_loop(design: Design, faces: Faces, validated: int = VALIDATED) -> Any:
    """Return fer-search's ``EpochLoop`` for a design; the backend must be started.

    It validates on few images, and its epochs do not re-estimate BN statistics, which takes the same time for any
    number of training images; ``measure()`` does that.
    """
    from fer_search.models import build_model
    from fer_search.training.loop import EpochLoop
    from fer_search.training.trial import Trial, TrialData, TrialHooks

    class TrainingLoop(EpochLoop):
        def _measure_batchnorm(self, epoch: int) -> None:
            pass

        def measure(self) -> None:
            super()._measure_batchnorm(1)
            np.asarray(self.model.non_trainable_variables[0])  # waits for JAX, which computes asynchronously

    rows = np.resize(np.arange(len(faces.labels)), validated)
    data = TrialData(faces.images, faces.labels, faces.images[rows], faces.labels[rows])
    folder = tempfile.mkdtemp()  # for mid-epoch state, if an epoch takes minutes
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    trial = Trial(design, epochs=1_000_000, folder=Path(folder), seed=0, number=0)
    return TrainingLoop(trial, data, build_model(design), TrialHooks())


def worth_it(backend: str, precision: str) -> bool:
    """Return whether to measure a precision: JAX on a CPU gains nothing from bfloat16."""
    return device().gpu or (backend, precision) != ("jax", "bfloat16")


def fewer(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a spec with fewer images for JAX on a CPU, which is slow, so that all rounds take about as long.

    "scale" is the factor by which the number of images is reduced.
    """
    images = spec["images"]
    if spec["backend"] == "jax" and not device().gpu:
        images = min(images, max(2 * spec["batch"], images // 4))
    return spec | {"images": images, "scale": spec["images"] / images}


def add_arguments(parser: Any) -> None:
    """Add options for network, data and sizes; ``settle`` fills in the defaults."""
    parser.add_argument("--data", default="auto", help="FER2013 in any form, or toy (default: auto)")
    parser.add_argument("--images", type=int, help="images per epoch (default: depends on the device)")
    parser.add_argument("--width", type=float, nargs="+", help="network widths (default: 0.125 on a CPU, else 1 0.25)")
    parser.add_argument("--rounds", type=int, help="number of rounds")


def settle(options: Any, cpu_images: int, rounds: int, gpu_images: int = 28_709) -> None:
    """Fill in the sizes that were not given, for this device or for --quick."""
    if options.serve:
        return  # the spec contains the parent's settings
    gpu = device().gpu
    options.images = options.images or (64 if options.quick else gpu_images if gpu else cpu_images)
    options.width = options.width or ([1.0, 0.25] if gpu and not options.quick else [0.125])
    options.rounds = options.rounds or (1 if options.quick else rounds)


def ask_in_turn(workers: Mapping[str, Worker], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Request one round from every worker in turn; return the answers of each."""
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for number in range(rounds):
        for name, worker in workers.items():
            answers[name].append(worker.ask())
        say(f"round {number + 1} of {rounds}")
    return answers
