"""Reading run.json and the choices in oracle.json, for reports and summaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.runfolder.choices import Choice, read_choices
from fer_search.runfolder.guard import check_contained
from fer_search.runfolder.json_files import check_format, read_json, repair_hint
from fer_search.runfolder.lock import is_locked
from fer_search.runfolder.objective import ACCURACY, Objective, recorded_objective
from fer_search.runfolder.schema import ORACLE_FILE, RUN_FILE

PROTOCOL = "Protocol of the search: "  # begins the caveat that is information, not a warning


@dataclass(frozen=True)
class RunInfo:
    """Content of run.json, with defaults for what an older run or a stock Keras Tuner project lacks.

    Args:
        path: Run folder.
        choices: Choices of the space, in its order.
        stock: Whether run.json is missing: the project was written by Keras Tuner without fer-search.
        name: Name of the run; the folder's name by default.
        command: Command line that started it.
        created: Start of the search, ISO 8601, UTC.
        version: Version of fer-search.
        space: "name", "path", "sha256" and "text" of the space file.
        references: Name -> accuracy published elsewhere, 0 to 1.
        baselines: Name -> values of choices.
        data: "name", "source", "fingerprint", "toy", "train" and "validation" (numbers of images), "notes".
        protocol: "holdout", "report" or "".
        protocol_note: The protocol in words, a sentence without its full stop.
        seed: Random seed.
        tuner: "name", "max_trials", "max_epochs", "factor", "baselines".
        settings: "width", "limit_train", "batch_size" and others.
        versions: Package -> version.
        backend: Keras backend.
        device: Hardware that trained, in words.
        skipped: "what" could not be searched and "why".
        state: "running", "interrupted", "finished" and others; "" if unknown.
        seconds: Wall time of the search so far; None if unknown.
        objective: What the search optimised.
        recommended: Trial that the guided tuner's model recommends; "" if it does not say.
        workers: Number of trials trained at the same time by the last start.
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
    objective: Objective = ACCURACY
    recommended: str = ""
    workers: int = 1

    @property
    def validation(self) -> int | None:
        """Number of validation images; None if unknown."""
        return self.data.get("validation") or None

    @property
    def current_state(self) -> str:
        """``state``; "killed" if that says that the run goes on, but no process holds its folder."""
        return "killed" if self.state == "running" and not is_locked(self.path) else self.state

    @property
    def toy(self) -> bool:
        """Whether the data set is the synthetic toy faces."""
        return bool(self.data.get("toy", False))

    @property
    def width(self) -> float:
        """Factor on every filter count (--width)."""
        return float(self.settings.get("width") or 1)

    def drawn_references(self) -> dict[str, float]:
        """Return the published accuracies comparable to this run; none for toy faces."""
        return {} if self.toy else dict(self.references)

    def cautions(self) -> list[str]:
        """Return the caveats that every output states before its numbers, one sentence each."""
        lines = []
        if self.toy:
            lines.append("Toy data: synthetic faces, not FER2013; the results say nothing about real faces.")
        if self.protocol_note:
            lines.append(f"{PROTOCOL}{self.protocol_note.rstrip('.')}.")
        if self.width != 1:
            lines.append(
                f"Width {self.width:g}: all filter counts are multiplied by it; full-size networks are more accurate."
            )
        for skipped in self.skipped:
            lines.append(f"Not searched: {skipped.get('what', '?')} ({skipped.get('why', 'no reason recorded')}).")
        if self.stock:
            lines.append("This project was written by stock Keras Tuner: its data, protocol and times are unknown.")
        return lines


def newest_run(results_dir: str | Path) -> Path:
    """Return the run folder that was modified last.

    Raises:
        UserError: There is none.
    """
    files = [file for name in (RUN_FILE, ORACLE_FILE) for file in Path(results_dir).glob(f"*/{name}")]
    if not files:
        raise UserError(f"no run in {results_dir}; start one with: fer-search run")
    return max(files, key=lambda file: file.stat().st_mtime).parent


def load_run(run: str | Path) -> RunInfo:
    """Read run.json and the choices of the space.

    Args:
        run: Run folder, or a project folder of stock Keras Tuner.

    Raises:
        UserError: The folder is missing or no run folder, or a file in it is damaged or too new; the message names it.
    """
    path = Path(run)
    if not path.is_dir():
        raise UserError(f"{path}: no such run folder; start one with fer-search run")
    check_contained(path)
    run_file, oracle_file = path / RUN_FILE, path / ORACLE_FILE
    if not (run_file.exists() or oracle_file.exists()):
        raise UserError(
            f"{path} is not a run folder: it has neither {RUN_FILE} nor {ORACLE_FILE}; give the folder of one run"
        )
    content = read_json(run_file) if run_file.exists() else {}
    if content:
        check_format(run_file, content)
    reading = oracle_file
    try:
        choices = read_choices(read_json(oracle_file)["hyperparameters"]["space"]) if oracle_file.exists() else ()
        reading = run_file
        return _run_info(path, content, choices)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, ArithmeticError) as error:
        raise UserError(
            f"{reading} has unexpected content ({error!r}); {repair_hint(reading)}", EXIT_RUN_FOLDER
        ) from error


def _run_info(path: Path, content: dict[str, Any], choices: tuple[Choice, ...]) -> RunInfo:
    def table(key: str) -> dict[str, Any]:
        return dict(content.get(key) or {})

    tables = ("space", "baselines", "data", "tuner", "settings", "versions")
    texts = ("command", "created", "version", "protocol", "protocol_note", "backend", "device", "state", "recommended")
    fields: dict[str, Any] = {key: table(key) for key in tables} | {key: str(content.get(key) or "") for key in texts}
    seconds = content.get("seconds")
    return RunInfo(
        path=path,
        choices=choices,
        stock=not content,
        name=str(content.get("name") or path.resolve().name),
        references={str(name): float(accuracy) for name, accuracy in table("references").items()},
        skipped=tuple(dict(entry) for entry in content.get("skipped") or ()),
        seed=content.get("seed"),
        seconds=None if seconds is None else float(seconds),
        objective=recorded_objective(content),
        workers=int(content.get("workers") or 1),
        **fields,
    )
