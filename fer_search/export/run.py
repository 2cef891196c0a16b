"""An export, from its settings to the files: the network, labels.txt and MODEL_CARD.md, after a parity check."""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from fer_search.errors import UserError
from fer_search.export.card import Evaluated, confirmed_evaluation, write_card
from fer_search.export.formats import QUANTISATIONS, SUFFIXES, WRITERS
from fer_search.export.metadata import LABELS_FILE, ModelInfo
from fer_search.export.parity import Parity, check_parity, compare
from fer_search.export.plain import foreign_layers
from fer_search.export.runtime import ExportedModel, from_keras, open_model
from fer_search.export.source import TrainedNetwork, build_trained, describe, find_network, load_network
from fer_search.files import TEMP_PREFIX, write_text
from fer_search.runfolder.dataset import load_run_dataset, split_run_dataset
from fer_search.runfolder.predictions import load_predictions
from fer_search.runfolder.run_json import load_run
from fer_search.runfolder.schema import EXPORT_DIR
from fer_search.terminal import printable

CARD_FILE = "MODEL_CARD.md"
PARITY_IMAGES = 256
CALIBRATION_IMAGES = 200  # TensorFlow's guide recommends a few hundred


@dataclass(frozen=True)
class Settings:
    """The options of ``fer-search export``; its help explains each."""

    run: Path
    format: str = "keras"
    out: Path | None = None
    trial: str | None = None
    confirmed: bool | None = None
    quantise: str | None = None
    views: bool = True
    data: str | None = None
    ferplus_csv: Path | None = None
    overwrite: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        if self.quantise and self.format != "tflite":
            raise UserError(f"--quantise {self.quantise} is for --format tflite, not {self.format}")
        if self.quantise and self.quantise not in QUANTISATIONS:
            raise UserError(f"--quantise must be {' or '.join(QUANTISATIONS)}, not {self.quantise}")

    @property
    def target(self) -> Path:
        """The file or folder that is written."""
        name = f"model{f'_{self.quantise}' if self.quantise else ''}{SUFFIXES[self.format]}"
        folder = self.run / EXPORT_DIR / "_".join(filter(None, [self.format, self.quantise]))
        if self.out is None:
            return folder if self.format == "saved_model" else folder / name
        if self.format != "saved_model" and (os.path.isdir(self.out) or not self.out.suffix):
            return self.out / name
        if SUFFIXES[self.format] and self.out.suffix != SUFFIXES[self.format]:
            raise UserError(f"--out {self.out}: a {self.format} file must end in {SUFFIXES[self.format]}")
        return self.out


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Args:
        path: The file or folder.
        parity: Its comparison with the network.
    """

    path: Path
    parity: Parity


def export_network(settings: Settings, console: Console) -> Exported:
    """Write a network of a run as a file that works without fer-search.

    Args:
        settings: What to write and where.
        console: Where progress and the parity check are printed.

    Raises:
        UserError: The network or its data are missing, a file exists already, or the exported file does not predict
            what the network predicts; then nothing is written (exit code 1).
    """
    network = find_network(settings.run, settings.trial, settings.confirmed)
    target = settings.target
    beside = target if settings.format == "saved_model" else target.parent
    try:
        _make_folder(target, beside)
        _check_free(settings, network, target, beside)
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error.strerror or error}); choose another --out") from error
    model, info = load_network(network, settings.views)
    images, labels = _validation_images(settings)
    _say(console, f"Exporting {info.network} of {settings.run}")
    for fact in (facts := _facts(settings, network, foreign_layers(model))):
        _say(console, fact)
    plain = functools.cache(functools.partial(from_keras, model, info, str(settings.run)))  # takes long to make
    expected = _own_predictions(settings, network, plain, images[:PARITY_IMAGES])
    parity = _write(settings, model, info, target, images, expected)
    sentence = f"Parity check on validation images: {parity}."
    _say(console, sentence)
    write_text(beside / LABELS_FILE, info.labels)
    evaluated = confirmed_evaluation(network) if network.confirmed else _validated(network, plain, images, labels)
    files = (target.name, LABELS_FILE)
    card = write_card(network, info, evaluated, files, [*facts, sentence], settings.command)
    write_text(beside / CARD_FILE, card)
    return Exported(target, parity)


def _say(console: Console, text: str) -> None:
    console.print(printable(text), highlight=False, markup=False, emoji=False)  # names are from the run folder


def _make_folder(target: Path, beside: Path) -> None:
    """Make the folder, before the network is loaded, which takes long, and refuse what cannot be written to.

    Raises:
        UserError, OSError: A file is where a folder should be, or the reverse, or nothing can be written there.
    """
    if (file := next((path for path in (beside, *beside.parents) if path.is_file()), None)) is not None:
        raise UserError(f"{target} cannot be written, since {file} is a file; choose another --out")
    beside.mkdir(parents=True, exist_ok=True)
    for file in (target, beside / CARD_FILE, beside / LABELS_FILE):
        if file != beside and file.is_dir():
            raise UserError(f"{file} is a folder; choose another --out")
    if target == beside:
        _check_replaceable(target)
    for folder in {beside, target.parent}:
        with tempfile.TemporaryFile(dir=folder):  # permissions do not tell it of every file system
            pass


def _check_free(settings: Settings, network: TrainedNetwork, target: Path, beside: Path) -> None:
    """Refuse to replace files, and the exported network itself even with --overwrite."""
    if target.exists() and target.samefile(network.file):
        raise UserError(f"{target} is the network that is exported; choose another --out")
    if settings.overwrite:
        return
    files = [target, beside / CARD_FILE]
    labels = beside / LABELS_FILE
    if labels.exists() and labels.read_text(encoding="utf-8", errors="replace") != describe(network).labels:
        files.append(labels)
    for file in files:
        if file.is_file() or (file.is_dir() and any(file.iterdir())):
            raise UserError(f"{file} exists already; choose another --out, or replace it with --overwrite")


def _facts(settings: Settings, network: TrainedNetwork, foreign: Sequence[str]) -> list[str]:
    """Return what must be known about the exported graph.

    Args:
        settings: Of the export.
        network: The network.
        foreign: Classes of layers that are not Keras' own.
    """
    facts, chosen = [], network.design.evaluation.views
    names = {"flip": "the image and its mirror image", "ten_crop": "ten crops"}
    if chosen in names and settings.views:
        facts.append(
            f"Test-time augmentation is part of the graph: the mean over {names[chosen]}, as the design chose."
        )
    elif chosen in names:
        facts.append(
            f"Test-time augmentation is left out (--no-views): the design averages over {names[chosen]}, so the "
            "accuracies of the run are not exactly those of this file."
        )
    if foreign and settings.format == "keras":
        facts.append(
            f"It has layers of the space file ({', '.join(foreign)}): keras.models.load_model needs these "
            "classes as custom_objects."
        )
    if settings.quantise == "int8":
        facts.append(
            "8-bit integer arithmetic; activation ranges measured on validation images; input and output float32."
        )
    elif settings.quantise:
        facts.append("Weights in half precision; input and output float32.")
    return facts


def _validation_images(settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Return the run's validation images and labels."""
    info = load_run(settings.run)
    dataset = load_run_dataset(settings.run, info, settings.data, settings.ferplus_csv)
    split = split_run_dataset(info, dataset)
    return dataset.images[split.validation], dataset.labels[split.validation].astype(int)


def _own_predictions(
    settings: Settings, network: TrainedNetwork, plain: Callable[[], ExportedModel], images: np.ndarray
) -> np.ndarray:
    """Return what the exported file must predict.

    For a .keras file of a trial these are the predictions of the network as the search builds it, in float32; for all
    other formats, those of the plain Keras model.
    """
    if settings.format != "keras" or network.confirmed or not settings.views:
        return plain().probabilities(images)
    from fer_search.training.predict import predict_images

    float32 = dataclasses.replace(network.design.optimisation, precision="float32")
    design = dataclasses.replace(network.design, optimisation=float32)
    return predict_images(build_trained(design, network), design, images, network.resolution)


def _write(
    settings: Settings, model: Any, info: ModelInfo, target: Path, images: np.ndarray, expected: np.ndarray
) -> Parity:
    """Write beside the target, check, and move into place."""
    options: dict[str, Any] = {}
    if settings.format == "tflite":
        samples = images[:CALIBRATION_IMAGES]
        options = {"quantise": settings.quantise, "samples": samples.reshape(len(samples), *info.shape)}
    with tempfile.TemporaryDirectory(prefix=TEMP_PREFIX, dir=target.parent) as folder:
        made = Path(folder) / (target.name or "model")
        WRITERS[settings.format](model, made, info, **options)
        parity = compare(expected, open_model(made).probabilities(images[:PARITY_IMAGES]))
        check_parity(parity, settings.quantise, str(target))
        if target.is_dir() and settings.format == "saved_model":
            _replace_folder(made, target)
        else:
            os.replace(made, target)
    return parity


def _check_replaceable(target: Path) -> None:
    """Refuse to replace a folder that holds anything but a SavedModel.

    Raises:
        UserError: It does, or is a link to a folder.
    """
    if target.is_symlink():
        raise UserError(f"--out {target} is a symbolic link; give the folder itself")
    if any(target.iterdir()) and not (target / "saved_model.pb").exists():
        raise UserError(f"--out {target} is a folder with other files; choose a new one for the SavedModel")


def _replace_folder(made: Path, target: Path) -> None:
    """Replace a SavedModel; a folder that holds anything else is left alone."""
    _check_replaceable(target)
    shutil.rmtree(target)
    os.replace(made, target)


def _validated(
    network: TrainedNetwork, plain: Callable[[], ExportedModel], images: np.ndarray, labels: np.ndarray
) -> Evaluated:
    """Return what a trial's network predicts for the validation images."""
    kept = load_predictions(network.run)
    if kept is not None and kept.trial == network.trial and len(kept.labels) == len(labels):
        labels, predicted = kept.labels, kept.predicted
    else:
        predicted = plain().probabilities(images).argmax(axis=1)
    note = (
        "These images chose the epoch, and the design among others, so the accuracy is optimistic; fer-search confirm "
    )
    return Evaluated("validation", labels, predicted, note + "measures it on test images.")
