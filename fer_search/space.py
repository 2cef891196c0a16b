"""A search space: a Python file that names the choices and turns their values into a Design.

The file defines a function ``design(hp)`` that returns a ``fer_search.design.Design`` and names its choices with Keras
Tuner's ``hp`` (``hp.Choice``, ``hp.Int``, ``hp.Float``, ``hp.Boolean``, ``hp.conditional_scope``). It may also define
``baselines``, a dictionary from name to values of choices (others take their defaults), and ``references``, a
dictionary from name to an accuracy published elsewhere. Modules that it imports from its own folder are part of the
space.

Instead of ``design`` a file may define ``build(hp)``, which returns a compiled ``keras.Model``, and optionally
``augmentation(hp)``, which returns a ``fer_search.design.Augmentation``; see ``fer_search.spacebuild``.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import hashlib
import inspect
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from keras_tuner import HyperParameters

from fer_search.choicechecks import ChoiceError
from fer_search.choices import (
    check_value,
    fill_defaults,
    find_choice,
    find_choices,
    find_dependent_choices,
    parse_value,
    restrict,
    sample,
    single_changes,
)
from fer_search.design import Design
from fer_search.design.custom import register
from fer_search.errors import UserError
from fer_search.spacebuild import Maker, Namer, functions_of
from fer_search.spacefile import check_tables, entry_location, error_location, error_text, run_space_file
from fer_search.spaceguard import SpaceExit, guarded_call


@dataclass(frozen=True, eq=False)
class Space:
    """A loaded space file.

    Args:
        path: The file.
        text: Its content.
        make: Its function ``design``.
        all_choices: Every choice it names.
        baselines: Baseline name -> values of choices; without those that contradict ``fixed``.
        references: Name -> published accuracy, 0 to 1.
        width: Factor on every filter count of every design.
        batch_size: Replaces the batch size of every design, unless None.
        fixed: Choices with a single value for the whole search.
        modules: Path -> content of the modules that the file imports from its own folder.
        name_choices: Names the choices of the ``hp`` it is given; ``make`` if None.
        namespace: What the file defines.
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
    name_choices: Callable[[HyperParameters], object] | None = None
    namespace: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file's name without .py."""
        return self.path.stem

    @property
    def sha256(self) -> str:
        """Hash of the text of the file and of its modules, hex."""
        texts = [self.text, *(part for pair in self.modules.items() for part in pair)]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()

    def design(self, hp: HyperParameters) -> Design:
        """Return the Design for the values in ``hp``.

        Raises:
            UserError: The file's function failed; the message has the file, the line and the cause.
        """
        design = self._call(self.make, hp)
        if not isinstance(design, Design):
            raise UserError(f"{self._head()}: design(hp) must return a fer_search.design.Design, not {design!r:.80}")
        if self.batch_size is not None:
            optimisation = dataclasses.replace(design.optimisation, batch_size=self.batch_size)
            design = dataclasses.replace(design, optimisation=optimisation)
        return design if self.width == 1 else design.scaled(self.width)

    def find_choices(self) -> HyperParameters:
        """Return the choices that the file's function names, found by calling it.

        Raises:
            UserError: As ``design``.
        """
        naming = self.name_choices
        if naming is None:
            return find_choices(self.design)
        call = functools.partial(self._call, naming)
        return find_dependent_choices(call, find_choices(call))

    def _call(self, function: Callable[[HyperParameters], Any], hp: HyperParameters) -> Any:
        try:
            with guarded_call(self.path):
                return function(hp)
        except (Exception, SpaceExit) as error:
            raise UserError(f"{error_location(self.path, error) or self._head()}: {error_text(error)}") from error

    def choices(self) -> HyperParameters:
        """Return every choice with its default, including those in conditional scopes."""
        return self.all_choices.copy()

    def sample(self, rng: np.random.Generator) -> HyperParameters:
        """Return the choices with random values."""
        return sample(self.all_choices, rng)

    def baseline(self, name: str) -> HyperParameters:
        """Return the choices with the values of a baseline.

        Raises:
            UserError: There is no such baseline, it names a choice that does not exist or that its other values make
                inactive, or gives a choice an invalid value.
        """
        if name not in self.baselines:
            raise UserError(
                f"{self.path}: there is no baseline {name!r}; there are {', '.join(self.baselines) or 'none'}"
            )
        values = self.baselines[name]
        for choice, value in values.items():
            try:
                check_value(find_choice(self.all_choices, choice), value)
            except ChoiceError as error:
                raise UserError(f"{self._entry(name, choice)}: baseline {name!r}: {error}") from error
        hp = self.all_choices.copy()
        hp.values = dict(values)
        fill_defaults(hp)
        if off := [choice for choice in values if choice not in hp.values]:
            raise UserError(
                f"{self._entry(name, off[0])}: baseline {name!r} names {off[0]!r}, which its other values make inactive"
            )
        return hp

    def restricted(self, fixed: Mapping[str, Any], without: Mapping[str, Collection[Any]] | None = None) -> Space:
        """Return this space with some choices fixed and some values of others removed.

        Baselines that need a different value are dropped.

        Args:
            fixed: Choice -> value, either as text or as the value itself.
            without: Choice -> values that are not available.

        Raises:
            UserError: A choice does not exist or cannot have the value.
        """
        try:
            values = {k: parse_value(self.all_choices, k, v) if isinstance(v, str) else v for k, v in fixed.items()}
            for name, value in values.items():
                check_value(find_choice(self.all_choices, name), value)
        except ChoiceError as error:
            raise UserError(f"--fix: {error} ({self.path})") from error
        narrowed = restrict(self.all_choices, values, without or {})
        kept = {name: given for name, given in self.baselines.items() if self._within(name, values, without or {})}
        return dataclasses.replace(self, all_choices=narrowed, baselines=kept, fixed=self.fixed | values)

    def _within(self, name: str, fixed: Mapping[str, Any], without: Mapping[str, Collection[Any]]) -> bool:
        values = self.baseline(name).values
        held = all(values[k] == v for k, v in fixed.items() if k in values)
        return held and not any(values.get(k) in gone for k, gone in without.items())

    def _entry(self, baseline: str, choice: object) -> str:
        return entry_location(self.path, self.text, "baselines", baseline, choice)

    def _head(self) -> str:
        """Return the file and line of the function ``design``."""
        function = self.namespace.get("design") or self.namespace.get("build") or self.make
        code = getattr(function, "__code__", None)
        return f"{self.path}, line {code.co_firstlineno}" if code else str(self.path)


def load_space(
    path: str | Path, width: float = 1.0, batch_size: int | None = None, fixed: Mapping[str, Any] | None = None
) -> Space:
    """Load a space file.

    Args:
        path: The Python file.
        width: Factor on every filter count of every design.
        batch_size: Replaces the batch size of every design, if given.
        fixed: Choice -> its only value, either as text or as the value itself.

    Raises:
        UserError: The file is missing, is not valid Python, raises, or defines no space; the message has the file and
            line.
    """
    path = Path(path)
    text, modules, namespace = run_space_file(path)
    for function in filter(inspect.isfunction, namespace.values()):
        register(function)
    make, name_choices = _functions(path, text, namespace)
    baselines, references = namespace.get("baselines", {}), namespace.get("references", {})
    check_tables(path, text, baselines, references)
    space = Space(path, text, make, HyperParameters(), baselines, references, width, batch_size)
    space = dataclasses.replace(space, modules=modules, name_choices=name_choices, namespace=namespace)
    space = dataclasses.replace(space, all_choices=space.find_choices())
    if name_choices is None:
        _check_repeatable(space)
        _check_scopes(space)
    for name in baselines:
        space.design(space.baseline(name))
    return space.restricted(fixed) if fixed else space


def load_functions(recorded: Mapping[str, Any]) -> None:
    """Make the functions of a run's space available, so that its custom networks can be built (``design.Custom``).

    Args:
        recorded: The "space" field of run.json: the source as it was searched, and its modules.

    Raises:
        UserError: As ``load_space``.
    """
    folder = Path(tempfile.mkdtemp(prefix="fer-search-space-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # modules may be imported when a function is called
    path = folder / f"{recorded['name']}.py"
    for name, text in {path.name: recorded["text"], **recorded.get("modules", {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    load_space(path)


def _functions(path: Path, text: str, namespace: dict[str, Any]) -> tuple[Maker, Namer | None]:
    """Return the function that makes designs, and the one that names the choices if that is another."""
    if callable(namespace.get("design")):
        return namespace["design"], None
    if functions := functions_of(namespace):
        return functions
    end = f"{path}, line {len(text.splitlines()) or 1}"
    raise UserError(f"{end}: no function design(hp) or build(hp) in the file; see search_spaces/report.py")


def _check_repeatable(space: Space) -> None:
    """Reject a function whose choices or designs change from call to call: no search could be resumed."""
    again = find_choices(space.design)
    for first, second in zip_longest(space.all_choices.space, again.space):
        configs = [None if choice is None else choice.get_config() for choice in (first, second)]
        if configs[0] != configs[1]:
            name = (first or second).name
            raise UserError(
                f"{space._head()}: the choice {name!r} changes from call to call; a space must not use random numbers, "
                "the time, or what earlier calls left"
            )
    values = space.choices().values
    if space.design(_with_values(space, values)) != space.design(_with_values(space, values)):
        raise UserError(
            f"{space._head()}: the same values give a different design in the next call; a space must not use random "
            "numbers, the time, or what earlier calls left"
        )


def _with_values(space: Space, values: Mapping[str, Any]) -> HyperParameters:
    hp = space.choices()
    hp.values = dict(values)
    return hp


def _check_scopes(space: Space) -> None:
    """Reject choices that exist only for some value of another choice without being in its conditional scope.

    Keras Tuner would discover such a choice in the middle of the search, or never.
    """
    known = {choice.name for choice in space.all_choices.space}
    for choice, value, hp in single_changes(space.all_choices):
        # a design that cannot be built is reported when it is built
        with contextlib.suppress(Exception, SpaceExit), guarded_call(space.path):
            space.make(hp)
        if new := [c.name for c in hp.space if c.name not in known]:
            raise UserError(
                f"{space._head()}: {new[0]!r} exists only if {choice} is {value!r}; define it inside "
                f"hp.conditional_scope({choice!r}, [{value!r}])"
            )
