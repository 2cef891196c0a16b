"""A space file as Python source: running it, and where in it something wrong stands."""

from __future__ import annotations

import ast
import dataclasses
import re
import traceback
from pathlib import Path
from typing import Any

from fer_search import design
from fer_search.choices import ChoiceError
from fer_search.errors import UserError
from fer_search.spaceimports import find_beside, imported_beside


def execute(path: Path) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Run a space file; return its text, the modules that it imports from its folder, and what it defines.

    The modules are imported afresh; see ``fer_search.spaceimports.imported_beside``.

    Raises:
        UserError: it cannot be read or run; the message has file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read the space {path}: {error.strerror}; give --space a Python file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"cannot read the space {path}: it is no UTF-8 text; give --space a Python file") from error
    modules = imported_beside(path, text)
    find_beside(path.parent, list(modules))
    found: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(text, str(path), "exec"), found)
    except SyntaxError as error:
        raise UserError(f"{error.filename or path}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{place(path, error) or path}: {reason(error)}") from error
    return text, modules, found


def place(path: Path, error: BaseException) -> str:
    """Return file and line that was running when an error was raised; "" if that was nothing of the file."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else ""


def entry(path: Path, text: str, table: str, *keys: object) -> str:
    """Return file and line of an entry in a dictionary of the file.

    Args:
        path: the file.
        text: its content.
        table: name of the dictionary, such as "baselines".
        keys: of the entry, and of an entry in it; as many of them are followed as the source spells out.
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


def reason(error: BaseException) -> str:
    """Return an error in one line, for who wrote the file."""
    if isinstance(error, SystemExit):
        return "it ends the program (sys.exit); a space only names choices"
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    if isinstance(error, (UserError, ChoiceError)):
        return first
    return _unknown_field(first) or f"{type(error).__name__}: {first}"


def _unknown_field(message: str) -> str:
    """Return Python's words for an unknown argument of a Design's part with the fields that there are, else ""."""
    match = re.fullmatch(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'.*", message)
    part = getattr(design, match[1], None) if match else None
    if match is None or not dataclasses.is_dataclass(part):
        return ""
    return f"{match[1]} has no field {match[2]!r}; it has {', '.join(f.name for f in dataclasses.fields(part))}"
