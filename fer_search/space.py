"""A search space: a Python file that names the choices and turns their values into a Design.

The file holds a function ``design(hp)`` that returns a ``fer_search.design.Design`` and names its choices with Keras
Tuner's ``hp`` (``hp.Choice``, ``hp.Int``, ``hp.Float``, ``hp.Boolean``, ``hp.conditional_scope``). It may hold
``baselines``, name -> values of its choices (what is not named takes the choice's default), and ``references``, name ->
accuracy published elsewhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_tuner import HyperParameters

from fer_search.design import Design
from fer_search.errors import UserError


@dataclass(frozen=True, eq=False)
class Space:
    """A loaded space file.

    Args:
        path: the file.
        text: its content.
        make: its function ``design``.
        baselines: name -> values of choices.
        references: name -> accuracy from 0 to 1.
        width: factor on every filter count of every design.
        batch_size: instead of every design's own, if given.
    """

    path: Path
    text: str
    make: Callable[[HyperParameters], Design]
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    references: dict[str, float] = field(default_factory=dict)
    width: float = 1.0
    batch_size: int | None = None

    @property
    def name(self) -> str:
        """The file's name without .py."""
        return self.path.stem

    @property
    def sha256(self) -> str:
        """Hash of the file's text, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def design(self, hp: HyperParameters) -> Design:
        """Return the Design for the values in ``hp``.

        Raises:
            UserError: the file's function failed; the message has its file, line and reason.
        """
        try:
            design = self.make(hp)
        except Exception as error:
            raise UserError(f"{self._line_of(error)}: {_reason(error)}") from error
        if not isinstance(design, Design):
            raise UserError(f"{self.path}: design(hp) must return a fer_search.design.Design, not {design!r:.80}")
        if self.batch_size is not None:
            optimisation = dataclasses.replace(design.optimisation, batch_size=self.batch_size)
            design = dataclasses.replace(design, optimisation=optimisation)
        return design if self.width == 1 else design.scaled(self.width)

    def choices(self) -> HyperParameters:
        """Return all choices of the space with their defaults, those in every conditional scope included."""
        hp = HyperParameters()
        waiting: list[list[Any]] = [[]]
        done: list[list[Any]] = []
        while waiting:
            conditions = waiting.pop()
            done.append(conditions)
            trial = hp.copy()
            trial.values = {}
            for condition in conditions:
                trial.values[condition.name] = condition.values[0]
            trial = _with_active_defaults(trial)
            self.design(trial)
            hp.merge(trial.space, overwrite=False)
            for scope in trial.inactive_scopes:
                if scope not in done and scope not in waiting:
                    waiting.append(scope)
        hp.values = {}
        return _with_active_defaults(hp)

    def baseline(self, name: str) -> HyperParameters:
        """Return the choices with a baseline's values.

        Raises:
            UserError: there is no such baseline, it names a choice that the space lacks, or a value that it cannot have.
        """
        if name not in self.baselines:
            raise UserError(
                f"{self.path}: there is no baseline {name!r}; there are {', '.join(self.baselines) or 'none'}"
            )
        hp = self.choices()
        known = {choice.name: choice for choice in hp.space}
        for choice, value in self.baselines[name].items():
            if choice not in known:
                raise UserError(f"{self.path}: baseline {name!r} names {choice!r}, which is not a choice of the space")
            _check_value(self.path, name, known[choice], value)
        hp.values = dict(self.baselines[name])
        return _with_active_defaults(hp)

    def _line_of(self, error: Exception) -> str:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(self.path)]
        return f"{self.path}, line {lines[-1]}" if lines else str(self.path)


def load_space(path: str | Path, width: float = 1.0, batch_size: int | None = None) -> Space:
    """Load a space file.

    Args:
        path: the Python file.
        width: factor on every filter count of every design.
        batch_size: instead of every design's own, if given.

    Raises:
        UserError: the file is missing, is not Python, fails, or holds no space; the message has file and line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the space {path}: {_reason(error)}; give --space a Python file") from error
    found: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(text, str(path), "exec"), found)
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        frames = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        raise UserError(f"{path}, line {frames[-1] if frames else '?'}: {_reason(error)}") from error
    if not callable(found.get("design")):
        raise UserError(f"{path}: no function design(hp) in it; copy search_spaces/report.py to see what a space is")
    baselines, references = found.get("baselines", {}), found.get("references", {})
    if not all(isinstance(values, dict) for values in (baselines, references, *baselines.values())):
        raise UserError(f"{path}: baselines must be name -> values of choices, references name -> accuracy")
    space = Space(path, text, found["design"], baselines, references, width, batch_size)
    for name in baselines:
        space.design(space.baseline(name))
    return space


def _with_active_defaults(hp: HyperParameters) -> HyperParameters:
    """Give every active choice without a value its default, and take the values of inactive ones away."""
    for choice in hp.space:
        if hp.is_active(choice):
            hp.values.setdefault(choice.name, choice.default)
    for choice in hp.space:
        if not hp.is_active(choice.name):
            hp.values.pop(choice.name, None)
    return hp


def _check_value(path: Path, baseline: str, choice: Any, value: Any) -> None:
    low, high = getattr(choice, "min_value", None), getattr(choice, "max_value", None)
    right = low <= value <= high if low is not None else value in choice.values
    if not right:
        allowed = f"from {low} to {high}" if low is not None else "one of " + ", ".join(map(repr, choice.values))
        raise UserError(f"{path}: baseline {baseline!r}: {choice.name} must be {allowed}, not {value!r}")


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    return first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"
