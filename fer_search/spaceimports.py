"""The modules that a space file imports from its own folder: finding them, and importing them afresh.

They are part of the space. What a file imports is read from its source, so that an import inside of a function counts
too, and nothing has to be run for it.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

NO_PART = {"fer_search", *sys.stdlib_module_names}  # of a space, whatever lies beside it


def imported_beside(path: Path, text: str) -> dict[str, str]:
    """Return the files that a space file imports from its folder and below, also through each other.

    Args:
        path: the space file.
        text: its content.

    Returns:
        Path relative to the folder, with slashes -> content, sorted. A file that is no Python is there all the same;
        importing it says what is wrong.
    """
    found: dict[str, str] = {}
    waiting = [(text, "")]
    while waiting:
        source, package = waiting.pop()
        for name in _imported(source, package):
            for file in _files(path.parent, name):
                key = file.relative_to(path.parent).as_posix()
                if key not in found and file != path:
                    found[key] = file.read_text(encoding="utf-8", errors="replace")
                    inside = file.parent.relative_to(path.parent)
                    waiting.append((found[key], ".".join(inside.parts)))
    return dict(sorted(found.items()))


def find_beside(folder: Path, files: Sequence[str]) -> None:
    """Have Python import modules from a folder, now and later in the process, and forget what it knows of them.

    Args:
        folder: of the space file.
        files: from ``imported_beside``.
    """
    names = {file.split("/")[0].removesuffix(".py") for file in files}
    for known, module in list(sys.modules.items()):
        if known.split(".")[0] in names and (known.split(".")[0] in _finder.folders or _lies_in(module, folder)):
            del sys.modules[known]
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _finder.folders |= dict.fromkeys(names, folder.resolve())
    importlib.invalidate_caches()


class _Finder:
    """Finds the modules beside space files by their names alone; nothing else that lies there hides a library."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = self.folders.get(name)
        return PathFinder.find_spec(name, [str(folder)], target) if folder else None


_finder = _Finder()


def _imported(source: str, package: str) -> Iterator[str]:
    """Return the dotted names that a source may import; ``package`` is the one that its file lies in."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _files(folder: Path, name: str) -> Iterator[Path]:
    """Return the files in a folder that importing a dotted name runs."""
    parts = name.strip(".").split(".")
    if parts[0] in NO_PART:
        return
    for depth in range(1, len(parts) + 1):
        stem = folder.joinpath(*parts[:depth])
        yield from (file for file in (stem / "__init__.py", stem.with_suffix(".py")) if file.is_file())


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and Path(str(file)).resolve().is_relative_to(folder.resolve())
