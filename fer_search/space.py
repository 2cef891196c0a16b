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
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from keras_tuner import HyperParameters

from fer_search.choices import ChoiceError, check_value, fill, find, find_choices, parse_value, restrict, sample
from fer_search.design import Design
from fer_search.errors import UserError


@dataclass(frozen=True, eq=False)
class Space:
    """A loaded space file.

    Args:
        path: the file.
        text: its content.
        make: its function ``design``.
        all_choices: what it names.
        baselines: name -> values of choices; those that ``fixed`` contradicts are not there.
        references: name -> accuracy from 0 to 1.
        width: factor on every filter count of every design.
        batch_size: instead of every design's own, if given.
        fixed: choices that have one value in the whole search.
    """

    path: Path
    text: str
    make: Callable[[HyperParameters], Design]
    all_choices: HyperParameters = field(default_factory=HyperParameters)
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    references: dict[str, float] = field(default_factory=dict)
    width: float = 1.0
    batch_size: int | None = None
    fixed: dict[str, Any] = field(default_factory=dict)

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
        return self.all_choices.copy()

    def sample(self, rng: np.random.Generator) -> HyperParameters:
        """Return the choices with random values."""
        return sample(self.all_choices, rng)

    def baseline(self, name: str) -> HyperParameters:
        """Return the choices with a baseline's values.

        Raises:
            UserError: there is no such baseline, it names a choice that the space lacks or that its other values switch
                off, or a value that the choice cannot have.
        """
        if name not in self.baselines:
            raise UserError(
                f"{self.path}: there is no baseline {name!r}; there are {', '.join(self.baselines) or 'none'}"
            )
        return _with_values(self.path, name, self.all_choices, self.baselines[name])

    def restricted(self, fixed: Mapping[str, Any], without: Mapping[str, Collection] | None = None) -> Space:
        """Return this space with some choices fixed, and without some values of others.

        Baselines that need anything else are left out.

        Args:
            fixed: choice -> value, as text or as it is.
            without: choice -> values that cannot be had.

        Raises:
            UserError: a choice is not there, or cannot have the value.
        """
        try:
            values = {k: parse_value(self.all_choices, k, v) if isinstance(v, str) else v for k, v in fixed.items()}
            for name, value in values.items():
                check_value(find(self.all_choices, name), value)
        except ChoiceError as error:
            raise UserError(f"--fix: {error} ({self.path})") from error
        narrowed = restrict(self.all_choices, values, without or {})
        kept = {name: given for name, given in self.baselines.items() if self._within(name, values, without or {})}
        return dataclasses.replace(self, all_choices=narrowed, baselines=kept, fixed=self.fixed | values)

    def _within(self, name: str, fixed: Mapping[str, Any], without: Mapping[str, Collection]) -> bool:
        values = self.baseline(name).values
        held = all(values[k] == v for k, v in fixed.items() if k in values)
        return held and not any(values.get(k) in gone for k, gone in without.items())

    def _line_of(self, error: Exception) -> str:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(self.path)]
        return f"{self.path}, line {lines[-1]}" if lines else str(self.path)


def load_space(
    path: str | Path, width: float = 1.0, batch_size: int | None = None, fixed: Mapping[str, Any] | None = None
) -> Space:
    """Load a space file.

    Args:
        path: the Python file.
        width: factor on every filter count of every design.
        batch_size: instead of every design's own, if given.
        fixed: choice -> the one value that it has, as text or as it is.

    Raises:
        UserError: the file is missing, is not Python, fails, or holds no space; the message has file and line.
    """
    path = Path(path)
    text, found = _execute(path)
    if not callable(found.get("design")):
        raise UserError(f"{path}: no function design(hp) in it; copy search_spaces/report.py to see what a space is")
    baselines, references = found.get("baselines", {}), found.get("references", {})
    if not all(isinstance(values, dict) for values in (baselines, references, *baselines.values())):
        raise UserError(f"{path}: baselines must be name -> values of choices, references name -> accuracy")
    space = Space(path, text, found["design"], HyperParameters(), baselines, references, width, batch_size)
    space = dataclasses.replace(space, all_choices=find_choices(space.design))
    for name in baselines:
        space.design(space.baseline(name))
    return space.restricted(fixed) if fixed else space


def _execute(path: Path) -> tuple[str, dict[str, Any]]:
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
    return text, found


def _with_values(path: Path, baseline: str, choices: HyperParameters, values: Mapping[str, Any]) -> HyperParameters:
    try:
        for name, value in values.items():
            check_value(find(choices, name), value)
    except ChoiceError as error:
        raise UserError(f"{path}: baseline {baseline!r}: {error}") from error
    hp = choices.copy()
    hp.values = dict(values)
    fill(hp)
    if off := [name for name in values if name not in hp.values]:
        raise UserError(f"{path}: baseline {baseline!r} names {off[0]!r}, which its other values switch off")
    return hp


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    return first if isinstance(error, (UserError, ChoiceError)) else f"{type(error).__name__}: {first}"
