"""A search space: a Python file that names the choices and turns their values into a Design.

The file holds a function ``design(hp)`` that returns a ``fer_search.design.Design`` and names its choices with Keras
Tuner's ``hp`` (``hp.Choice``, ``hp.Int``, ``hp.Float``, ``hp.Boolean``, ``hp.conditional_scope``). It may hold
``baselines``, name -> values of its choices (what is not named takes the choice's default), and ``references``, name ->
accuracy published elsewhere. What it imports from its own folder, and below, is part of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from keras_tuner import HyperParameters

from fer_search.choices import (
    ChoiceError,
    check_value,
    fill,
    find,
    find_choices,
    one_changed,
    parse_value,
    restrict,
    sample,
)
from fer_search.design import Design
from fer_search.design.checks import is_real
from fer_search.errors import UserError
from fer_search.spacefile import entry, execute, place, reason


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
        modules: file -> content of what the file imports from its own folder.
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
    modules: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file's name without .py."""
        return self.path.stem

    @property
    def sha256(self) -> str:
        """Hash of the file's text and of its modules', hex."""
        texts = [self.text, *(part for pair in self.modules.items() for part in pair)]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()

    def design(self, hp: HyperParameters) -> Design:
        """Return the Design for the values in ``hp``.

        Raises:
            UserError: the file's function failed; the message has its file, line and reason.
        """
        try:
            design = self.make(hp)
        except Exception as error:
            raise UserError(f"{place(self.path, error) or self._head()}: {reason(error)}") from error
        if not isinstance(design, Design):
            raise UserError(f"{self._head()}: design(hp) must return a fer_search.design.Design, not {design!r:.80}")
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
        values = self.baselines[name]
        for choice, value in values.items():
            try:
                check_value(find(self.all_choices, choice), value)
            except ChoiceError as error:
                raise UserError(f"{self._entry(name, choice)}: baseline {name!r}: {error}") from error
        hp = self.all_choices.copy()
        hp.values = dict(values)
        fill(hp)
        if off := [choice for choice in values if choice not in hp.values]:
            raise UserError(
                f"{self._entry(name, off[0])}: baseline {name!r} names {off[0]!r}, which its other values switch off"
            )
        return hp

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

    def _entry(self, baseline: str, choice: object) -> str:
        return entry(self.path, self.text, "baselines", baseline, choice)

    def _head(self) -> str:
        """Return file and line of the function."""
        code = getattr(self.make, "__code__", None)
        return f"{self.path}, line {code.co_firstlineno}" if code else str(self.path)


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
    text, modules, found = execute(path)
    if not callable(found.get("design")):
        end = f"{path}, line {len(text.splitlines()) or 1}"
        raise UserError(f"{end}: no function design(hp) up to here; copy search_spaces/report.py to see a space")
    baselines, references = found.get("baselines", {}), found.get("references", {})
    _check_tables(path, text, baselines, references)
    space = Space(path, text, found["design"], HyperParameters(), baselines, references, width, batch_size)
    space = dataclasses.replace(space, all_choices=find_choices(space.design), modules=modules)
    _check_scopes(space)
    for name in baselines:
        space.design(space.baseline(name))
    return space.restricted(fixed) if fixed else space


def _check_tables(path: Path, text: str, baselines: Any, references: Any) -> None:
    for table, entries in (("baselines", baselines), ("references", references)):
        if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
            raise UserError(f"{entry(path, text, table)}: {table} must be a dictionary whose keys are names")
    for name, values in baselines.items():
        if not isinstance(values, dict):
            raise UserError(f"{entry(path, text, 'baselines', name)}: baseline {name!r} must be choice -> value")
    for name, accuracy in references.items():
        if not is_real(accuracy, 0, 1):
            raise UserError(
                f"{entry(path, text, 'references', name)}: reference {name!r} must be an accuracy from 0 to 1, not "
                f"{accuracy!r}"
            )


def _check_scopes(space: Space) -> None:
    """Refuse choices that are only named where another one has some value, and not in its conditional scope.

    Keras Tuner learns of such a choice in the middle of a search, or never.
    """
    known = {choice.name for choice in space.all_choices.space}
    for choice, value, hp in one_changed(space.all_choices):
        with contextlib.suppress(Exception):  # what cannot be built is told when it is built
            space.make(hp)
        if new := [one.name for one in hp.space if one.name not in known]:
            raise UserError(
                f"{space._head()}: {new[0]!r} is a choice only where {choice} is {value!r}; name it inside "
                f"hp.conditional_scope({choice!r}, [{value!r}])"
            )
