"""A space file as Python source: running it, and locating errors in it."""

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
from fer_search.spaceimports import local_imports, reload_local_modules


def run_space_file(path: Path) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Run a space file; return its text, the modules it imports from its folder, and the names it defines.

    The modules are re-imported; see ``fer_search.spaceimports.local_imports``.

    Raises:
        UserError: The file cannot be read or run; the message has the file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read the space {path}: {error.strerror}; give --space a Python file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"cannot read the space {path}: it is not UTF-8 text; give --space a Python file") from error
    modules = local_imports(path, text)
    reload_local_modules(path.parent, list(modules))
    namespace: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(text, str(path), "exec"), namespace)
    except SyntaxError as error:
        raise UserError(f"{error.filename or path}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{error_location(path, error) or path}: {error_text(error)}") from error
    return text, modules, namespace


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
    if isinstance(error, SystemExit):
        return "it calls sys.exit; a space file must only define choices"
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    if isinstance(error, (UserError, ChoiceError)):
        return first
    return _unknown_field(first) or f"{type(error).__name__}: {first}"


def _unknown_field(message: str) -> str:
    """Return a message listing the valid fields if an error is about an unknown argument of a Design part, else ""."""
    match = re.fullmatch(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'.*", message)
    part = getattr(design, match[1], None) if match else None
    if match is None or not dataclasses.is_dataclass(part):
        return ""
    return f"{match[1]} has no field {match[2]!r}; it has {', '.join(f.name for f in dataclasses.fields(part))}"
