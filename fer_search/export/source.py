"""Which network of a run is meant, and that network as a plain Keras model."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fer_search import __version__
from fer_search.data.spec import DataSpec
from fer_search.design import Custom, Design
from fer_search.errors import EXIT_NO_TRIAL, UserError
from fer_search.export.metadata import ModelInfo
from fer_search.report import load_trials
from fer_search.runfolder.confirmation import read_confirm_json, tested_trainings, training_dir
from fer_search.runfolder.design_json import read_design_json, weights_resolution
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.run_json import RunInfo, load_run
from fer_search.runfolder.schema import BEST_WEIGHTS_FILE, MODEL_FILE
from fer_search.runs.show import find_trial
from fer_search.terminal import printable


@dataclass(frozen=True)
class TrainedNetwork:
    """A network of a run whose weights are on the disk.

    Args:
        run: Run folder.
        trial: Id of the trial whose design it has.
        title: The design in words: the baseline's name or the trial's number.
        design: Its design.
        spec: The classes and the images that it was trained on.
        file: Weights of the trial's best epoch, or the confirmed network.
        training: Index of the confirmation's training; None for the network of the search itself.
        seed: Its seed in the confirmation; None for the network of the search itself.
        accuracy: Validation accuracy in the search, 0 to 1.
        resolution: From ``design_json.weights_resolution``.
    """

    run: Path
    trial: str
    title: str
    design: Design
    spec: DataSpec
    file: Path
    training: int | None
    seed: int | None
    accuracy: float
    resolution: int = 0

    @property
    def confirmed(self) -> bool:
        return self.training is not None

    @property
    def description(self) -> str:
        """The network in words, for messages and the model card."""
        if self.confirmed:
            return f"{self.title}, confirmed, seed {self.seed}"
        return f"{self.title}, as trained by the search"


def find_network(run: Path, trial: str | None = None, confirmed: bool | None = None) -> TrainedNetwork:
    """Return a network of a run.

    Of a confirmation it is the network of the first design, the one that the report names, trained with the first seed:
    chosen before the test images were evaluated, so that its test accuracy is not optimistic.

    Args:
        run: Run folder.
        trial: A trial's number or a baseline's name; None for the best one.
        confirmed: True for the network that ``fer-search confirm`` trained, False for that of the search; None for the
            confirmed one where there is one, otherwise the one of the search.

    Raises:
        UserError: There is no such network, or its weights are not in the run folder.
    """
    info = load_run(run)
    if info.stock:
        raise UserError(f"{run} is a stock Keras Tuner project; load its models with tuner.get_best_models()")
    network = _select(run, info, trial, confirmed)
    if isinstance(network.design.network, Custom):
        from fer_search.space import load_functions  # imports Keras Tuner, which takes seconds

        load_functions(info.space)
    return network


def _select(run: Path, info: RunInfo, trial: str | None, confirmed: bool | None) -> TrainedNetwork:
    """Return the network that is meant; see ``find_network``."""
    candidates = _confirmed(run, info) if confirmed is not False else []
    if trial is not None and candidates:
        wanted = find_trial(load_trials(run), trial)["trial"]
        candidates = [network for network in candidates if network.trial == wanted]
    if candidates:
        return _first_present(candidates, info, trial, bool(confirmed))
    if confirmed:
        which = f"trial {trial}" if trial is not None else str(run)
        raise UserError(f"{which} is not confirmed; run fer-search confirm {run}, or leave --confirmed out")
    return _searched(run, info, trial)


def _first_present(
    candidates: list[TrainedNetwork], info: RunInfo, trial: str | None, confirmed: bool
) -> TrainedNetwork:
    """Return the first confirmed network; if its file is missing, say so and return another one.

    Raises:
        UserError: It is missing, and only a confirmed network will do, or there is no other.
    """
    wanted = candidates[0]
    if wanted.file.exists():
        return wanted
    message = f"{wanted.file} is missing; fer-search confirm {wanted.run}, with the same options, trains it again"
    if confirmed:
        raise UserError(message)
    present = next((network for network in candidates if network.file.exists()), None)
    try:
        instead = present or _searched(wanted.run, info, trial)
    except UserError as error:
        raise UserError(message) from error
    print(printable(f"{message}; until then {instead.description}, is used"), file=sys.stderr)
    return instead


def _confirmed(run: Path, info: RunInfo) -> list[TrainedNetwork]:
    """Return the networks of a confirmation: designs as they were chosen, the best first, seeds in order."""
    record = read_confirm_json(run)
    if record is None:
        return []
    networks = []
    for number, index, seed in tested_trainings(record):
        candidate = record["candidates"][index]
        networks.append(
            TrainedNetwork(
                run=run,
                trial=candidate["trial"],
                title=candidate["title"],
                design=Design.from_dict(candidate["design"]),
                spec=DataSpec.from_dict(info.data),
                file=training_dir(run, record["looks"], number) / MODEL_FILE,
                training=number,
                seed=seed,
                accuracy=candidate["val_accuracy"],
            )
        )
    return networks


def _searched(run: Path, info: RunInfo, trial: str | None) -> TrainedNetwork:
    """Return the network of a trial, with the weights of its best epoch."""
    trials = load_trials(run)
    completed = trials[trials["status"] == "completed"]
    if completed.empty:
        raise UserError(f"{run}: no trial completed, so there is no network", EXIT_NO_TRIAL)
    row = completed.iloc[0] if trial is None else find_trial(trials, trial)
    folder = RunFolder(run).trial_path(row["trial"])
    number = int(row["trial"])
    if not (folder / BEST_WEIGHTS_FILE).exists():
        raise UserError(
            f"{folder / BEST_WEIGHTS_FILE} is missing: only the best trials keep their weights, within --max-disk. "
            f"Train this design again with: fer-search confirm {run} --trial {number}"
        )
    record = read_design_json(folder)
    title = f"trial {number}" if pd.isna(row["name"]) else str(row["name"])
    return TrainedNetwork(
        run=run,
        trial=row["trial"],
        title=title,
        design=Design.from_dict(record["design"]),
        spec=DataSpec.from_dict(info.data),
        file=folder / BEST_WEIGHTS_FILE,
        training=None,
        seed=None,
        accuracy=float(row["accuracy"]),
        resolution=weights_resolution(record, None if pd.isna(row["best_epoch"]) else int(row["best_epoch"])),
    )


def load_network(network: TrainedNetwork, views: bool = True) -> tuple[Any, ModelInfo]:
    """Return a network as a plain Keras model, and its description.

    Args:
        network: From ``find_network``.
        views: False leaves the design's test-time augmentation out.

    Raises:
        UserError: Its file is damaged.
    """
    from fer_search.export.plain import plain_model

    try:
        model = _read(network)
    except Exception as error:  # h5py and Keras raise many kinds for damaged files
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{network.file} cannot be read ({first}); fer-search doctor {network.run} says what is damaged"
        ) from error
    plain = plain_model(model, network.design, network.spec.classes, views, network.resolution)
    return plain, describe(network, views)


def describe(network: TrainedNetwork, views: bool = True) -> ModelInfo:
    """Return the description of a network for its exported file."""
    spec = network.spec
    return ModelInfo(
        classes=spec.classes,
        height=spec.image_size,
        width=spec.image_size,
        channels=spec.channels,
        run=network.run.resolve().name,
        network=network.description,
        views=network.design.evaluation.views if views else "one",
        version=__version__,
    )


def build(design: Design, spec: DataSpec) -> Any:
    """Return a design's network with random weights."""
    from fer_search.models import build_model

    return build_model(design, pretrained=False, spec=spec)


def build_trained(design: Design, network: TrainedNetwork) -> Any:
    """Return a trial's network, built for a design of the same layers, with its weights."""
    model = build(design, network.spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file holds no optimiser state, and Keras warns that it leaves it out
        model.load_weights(network.file)
    return model


def _read(network: TrainedNetwork) -> Any:
    """Return the network itself, without views, with its weights."""
    import keras

    from fer_search.export.plain import NETWORK_NAME

    if network.confirmed:
        saved = keras.models.load_model(network.file, compile=False)
        inner = [layer for layer in saved.layers if layer.name == NETWORK_NAME]
        return inner[0] if inner else saved
    return build_trained(network.design, network)
