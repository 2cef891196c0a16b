"""Whether the designs of a space build and train: one training step of each on a few synthetic faces."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from keras_tuner import HyperParameters

from fer_search.data.dataset import Dataset
from fer_search.data.spec import FER2013_CLASSES
from fer_search.data.toy import draw_faces
from fer_search.design import Backbone, Design
from fer_search.design.checks import DesignError
from fer_search.errors import first_line
from fer_search.space import Space

if TYPE_CHECKING:
    from fer_search.training.trial import TrialData

IMAGES = 16  # enough for every class and for batch statistics, few enough for a CPU


class CheckResult(NamedTuple):
    """Result of checking one design.

    Attributes:
        name: Baseline name, or the values of the sampled choices.
        problem: Why it does not train; "" if it does.
        loss: Training loss of the step.
        seconds: Time to build it and take the step.
    """

    name: str
    problem: str
    loss: float
    seconds: float


def check_space(space: Space, samples: int = 5, seed: int = 0, dataset: Dataset | None = None) -> Iterator[CheckResult]:
    """Build every baseline and some sampled designs, take one training step with each, and predict.

    Backbones get random weights here; whether pretrained weights are available is checked when a search starts.

    Args:
        space: The space.
        samples: Number of designs besides the baselines; those that were drawn before are left out.
        seed: Random seed of the sample.
        dataset: Its first training images of each class are used; toy faces of FER2013's classes if None.

    Yields:
        One result per design, as it becomes available.
    """
    data = _few_images(dataset)
    rng = np.random.default_rng(seed)
    for name in space.baselines:
        yield _checked(space, name, space.baseline(name), data)
    known: list[dict[str, Any]] = []
    for _ in range(samples):
        hp = space.sample(rng)
        if hp.values in known:
            continue  # a small space
        known.append(dict(hp.values))
        words = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in hp.values.items())
        words = words or "the only design"
        yield _checked(space, words, hp, data)


def _few_images(dataset: Dataset | None) -> TrialData:
    from fer_search.training.trial import TrialData

    if dataset is None:
        images, labels, _ = draw_faces(IMAGES, 0)
        labels[: len(FER2013_CLASSES)] = np.arange(len(FER2013_CLASSES))
        return TrialData(images, labels, images, labels)
    train = dataset.rows("train")
    ranks = np.concatenate([np.arange((dataset.labels[train] == c).sum()) for c in range(len(dataset.classes))])
    by_class = train[np.argsort(dataset.labels[train], kind="stable")]
    rows = by_class[np.argsort(ranks, kind="stable")][:IMAGES]  # the first of each class, then the second, ...
    images, labels = dataset.images[rows], dataset.labels[rows]
    return TrialData(images, labels, images, labels, class_names=dataset.classes)


def _in_one_step(design: Design) -> Design:
    """Return a design whose batch holds all images and whose backbone has random weights."""
    network = design.network
    if isinstance(network, Backbone):
        network = dataclasses.replace(network, weights="none")
    optimisation = dataclasses.replace(design.optimisation, batch_size=IMAGES)
    return dataclasses.replace(design, network=network, optimisation=optimisation)


def _checked(space: Space, name: str, hp: HyperParameters, data: TrialData) -> CheckResult:
    from fer_search.training.trial import Trial, train

    began, problem, loss = time.perf_counter(), "", float("nan")
    try:
        design = space.design(hp)
        with tempfile.TemporaryDirectory() as folder:
            trial = Trial(_in_one_step(design), 1, Path(folder), seed=0, number=0)
            loss = train(trial, data)[0]["loss"]
    except Exception as error:
        line = first_line(error)
        problem = line if isinstance(error, DesignError) else f"{type(error).__name__}: {line}"
    return CheckResult(name, problem, loss, time.perf_counter() - began)
