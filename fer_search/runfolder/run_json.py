"""A run folder -> what run.json and oracle.json say. Reads files and nothing else: no Keras, no Keras Tuner."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_search.errors import UserError
from fer_search.runfolder.choices import Choice, read_choices

FORMAT = 1  # the newest run.json that is understood
MENDED = ("oracle.json", "trial.json", "epochs.csv")  # by the doctor, from the other files of the run


@dataclass(frozen=True)
class RunInfo:
    """What run.json says, with defaults for what an older or a stock Keras Tuner project lacks.

    Args:
        path: the run folder.
        choices: the space's choices, in its order.
        stock: whether run.json is missing: Keras Tuner wrote the project without fer-search.
        name: of the run; the folder's name by default.
        command: the command line that made it.
        created: start of the search, ISO 8601, UTC.
        version: of fer-search.
        space: "name", "path", "sha256" and "text" of the space file.
        references: name -> accuracy published elsewhere, from 0 to 1.
        baselines: name -> values of choices.
        data: "name", "source", "fingerprint", "toy", "train" and "validation" (images), "notes".
        protocol: "holdout", "report" or "".
        protocol_note: the protocol in words, a sentence without its full stop.
        seed: of everything random.
        tuner: "name", "max_trials", "max_epochs", "factor", "baselines".
        settings: "width", "limit_train", "batch_size" and others.
        versions: package -> version.
        backend: Keras' backend.
        device: what trained, in words.
        skipped: "what" could not be searched and "why".
        state: "running", "interrupted", "finished", or "" where it is not known.
        seconds: wall time of the search so far; None where it is not known.
    """

    path: Path
    choices: tuple[Choice, ...] = ()
    stock: bool = True
    name: str = ""
    command: str = ""
    created: str = ""
    version: str = ""
    space: Mapping[str, Any] = field(default_factory=dict)
    references: Mapping[str, float] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = ""
    protocol_note: str = ""
    seed: int | None = None
    tuner: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    backend: str = ""
    device: str = ""
    skipped: tuple[Mapping[str, str], ...] = ()
    state: str = ""
    seconds: float | None = None

    @property
    def validation(self) -> int | None:
        """Number of validation images, where known."""
        return self.data.get("validation") or None

    @property
    def toy(self) -> bool:
        """Whether the faces were drawn by fer-search."""
        return bool(self.data.get("toy", False))

    @property
    def width(self) -> float:
        """The factor on every filter count."""
        return float(self.settings.get("width") or 1)

    def drawn_references(self) -> dict[str, float]:
        """Return the references that may stand beside this run's accuracies: none for toy faces."""
        return {} if self.toy else dict(self.references)

    def cautions(self) -> list[str]:
        """Return what every output must say before its numbers, one sentence each."""
        lines = []
        if self.toy:
            lines.append("Toy data: these are drawn faces, not FER2013; nothing about real faces follows.")
        if self.protocol_note:
            lines.append(f"Protocol: {self.protocol_note.rstrip('.')}.")
        if self.width != 1:
            lines.append(
                f"Every filter count is times {self.width:g}: accuracies are below those of the full networks."
            )
        for skipped in self.skipped:
            lines.append(f"Missing here: {skipped.get('what', '?')} ({skipped.get('why', 'no reason recorded')}).")
        if self.stock:
            lines.append(
                "Keras Tuner wrote this project without fer-search: its data, protocol and times are not known."
            )
        return lines


def newest_run(results_dir: str | Path) -> Path:
    """Return the run folder that was written to last.

    Raises:
        UserError: there is none.
    """
    files = [file for name in ("run.json", "oracle.json") for file in Path(results_dir).glob(f"*/{name}")]
    if not files:
        raise UserError(f"no run in {results_dir}; start one with: fer-search run --space search_spaces/report.py")
    return max(files, key=lambda file: file.stat().st_mtime).parent


def load_run(run: str | Path) -> RunInfo:
    """Read run.json and the space's choices.

    Args:
        run: the run folder, or a project folder of stock Keras Tuner.

    Raises:
        UserError: the folder is missing or no run, or a file in it is broken or too new; the message names it.
    """
    path = Path(run)
    if not path.is_dir():
        raise UserError(f"{path}: no such run folder; fer-search run makes one")
    own, oracle = path / "run.json", path / "oracle.json"
    if not (own.exists() or oracle.exists()):
        raise UserError(f"{path} is no run folder: neither run.json nor oracle.json is in it; give a run's own folder")
    raw = read_json(own) if own.exists() else {}
    if not isinstance(raw.get("format", FORMAT), int) or raw.get("format", FORMAT) > FORMAT:
        raise UserError(f"{own} has format {raw['format']}, newer than this fer-search reads; update fer-search")
    reading = oracle
    try:
        choices = read_choices(read_json(oracle)["hyperparameters"]["space"]) if oracle.exists() else ()
        reading = own
        return _info(path, raw, choices)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{reading} does not hold what it should ({error!r}); {way_out(reading)}") from error


def read_json(file: Path, prepare: Callable[[str], str] = str) -> dict[str, Any]:
    """Return a JSON file's object.

    Args:
        file: the file.
        prepare: applied to its text before it is parsed.

    Raises:
        UserError: it cannot be read, or holds something else; the message names it.
    """
    try:
        content = json.loads(prepare(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); {way_out(file)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} does not hold what it should; {way_out(file)}")
    return content


def way_out(file: Path) -> str:
    """Return what to do about a broken file of a run folder, for the end of an error's line."""
    if file.name not in MENDED:
        return "restore it from a copy"
    run = file.parent if file.name == "oracle.json" else file.parent.parent
    return f"fer-search doctor {run} --repair mends it, or says why not"


def _info(path: Path, raw: dict[str, Any], choices: tuple[Choice, ...]) -> RunInfo:
    def table(key: str) -> dict[str, Any]:
        return dict(raw.get(key) or {})

    tables = ("space", "baselines", "data", "tuner", "settings", "versions")
    texts = ("command", "created", "version", "protocol", "protocol_note", "backend", "device", "state")
    read: dict[str, Any] = {key: table(key) for key in tables} | {key: str(raw.get(key) or "") for key in texts}
    seconds = raw.get("seconds")
    return RunInfo(
        path=path,
        choices=choices,
        stock=not raw,
        name=str(raw.get("name") or path.resolve().name),
        references={str(name): float(accuracy) for name, accuracy in table("references").items()},
        skipped=tuple(dict(one) for one in raw.get("skipped") or ()),
        seed=raw.get("seed"),
        seconds=None if seconds is None else float(seconds),
        **read,
    )
