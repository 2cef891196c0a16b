"""A space file as Python source: running it, and locating errors in it."""

from __future__ import annotations

import ast
import dataclasses
import re
import traceback
from pathlib import Path
from typing import Any

from fer_search import design
from fer_search.choicechecks import ChoiceError, check_name
from fer_search.design.checks import is_number
from fer_search.errors import UserError, first_line
from fer_search.files import read_text
from fer_search.spaceguard import SpaceExit, guarded_call
from fer_search.spaceimports import local_imports, reload_local_modules

MAX_BYTES = 10_000_000  # of a space file


def run_space_file(path: Path) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Run a space file; return its text, the modules it imports from its folder, and the names it defines.

    The modules are re-imported; see ``fer_search.spaceimports.local_imports``.

    Raises:
        UserError: The file cannot be read or run; the message has the file and line.
    """
    try:
        text = read_text(path.resolve(), MAX_BYTES)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read the space {path}: {reason}; give --space a Python file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"cannot read the space {path}: it is not UTF-8 text; give --space a Python file") from error
    modules = local_imports(path, text)
    reload_local_modules(path.parent, list(modules))
    namespace: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        code = compile(text, str(path), "exec")
        with guarded_call(path):
            exec(code, namespace)
    except SyntaxError as error:
        raise UserError(f"{error.filename or path}, line {error.lineno}: {error.msg}") from error
    except (Exception, SpaceExit) as error:
        raise UserError(f"{error_location(path, error) or path}: {error_text(error)}") from error
    return text, modules, namespace


def check_tables(path: Path, text: str, baselines: Any, references: Any) -> None:
    """Reject baselines and references that are not what they should be.

    Raises:
        UserError: The message has the file and line.
    """
    for table, entries in (("baselines", baselines), ("references", references)):
        if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
            raise UserError(f"{entry_location(path, text, table)}: {table} must be a dictionary whose keys are names")
        for name in entries:
            try:
                check_name(name, table.removesuffix("s"))
            except ChoiceError as error:
                raise UserError(f"{entry_location(path, text, table, name)}: {error}") from error
    for name, values in baselines.items():
        if not isinstance(values, dict):
            raise UserError(
                f"{entry_location(path, text, 'baselines', name)}: baseline {name!r} must map choices to values"
            )
    for name, accuracy in references.items():
        if not is_number(accuracy, 0, 1):
            location = entry_location(path, text, "references", name)
            raise UserError(f"{location}: reference {name!r} must be an accuracy from 0 to 1, not {accuracy!r}")


def error_location(path: Path, error: BaseException) -> str:
    """Return the file and line that was running when an error was raised; "" if it was outside the file."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else ""


def entry_location(path: Path, text: str, table: str, *keys: object) -> str:
    """Return the file and line of an entry of a dictionary in the file.

    Args:
        path: The file.
        text: Its content.
        table: Name of the dictionary, such as "baselines".
        keys: Key of the entry, and optionally of an entry nested in it; followed as far as the source spells them out.
    """
    node: ast.AST | None = None
    for statement in ast.parse(text).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == table for target in targets):
            node = getattr(statement, "value", None)
    line = getattr(node, "lineno", None)
    for key in keys:
        pairs = [
            (k, v)
            for d in (ast.walk(node) if node else ())
            if isinstance(d, ast.Dict)
            for k, v in zip(d.keys, d.values, strict=True)
            if isinstance(k, ast.Constant) and k.value == key
        ]
        if not pairs:
            break
        line, node = pairs[0][0].lineno, pairs[0][1]
    return f"{path}, line {line}" if line else str(path)


def error_text(error: BaseException) -> str:
    """Return an error in one line, for the author of the file."""
    first = first_line(error) or type(error).__name__
    if isinstance(error, (UserError, ChoiceError, SpaceExit)):
        return first
    return _unknown_field(first) or f"{type(error).__name__}: {first}"


def _unknown_field(message: str) -> str:
    """Return a message listing the valid fields if an error is about an unknown argument of a Design part, else ""."""
    match = re.fullmatch(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'.*", message)
    part = getattr(design, match[1], None) if match else None
    if match is None or not dataclasses.is_dataclass(part):
        return ""
    return f"{match[1]} has no field {match[2]!r}; it has {', '.join(f.name for f in dataclasses.fields(part))}"
