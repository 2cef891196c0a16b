"""The modules that a space file imports from its own folder: finding them and re-importing them.

They are part of the space. Imports are read from the source, so that an import inside a function counts too and nothing
has to be executed.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

EXCLUDED = {
    "fer_search",
    *sys.stdlib_module_names,
}  # never part of a space


def local_imports(path: Path, text: str) -> dict[str, str]:
    """Return the files that a space file imports, directly or indirectly, from its folder and below.

    Args:
        path: The space file.
        text: Its content.

    Returns:
        POSIX path relative to the folder -> content, sorted. Files that are not valid Python are included; importing
            them
        reports the error.
    """
    contents: dict[str, str] = {}
    queue = [(text, "")]
    while queue:
        source, package = queue.pop()
        for name in _imported(source, package):
            for file in _files(path.parent, name):
                key = file.relative_to(path.parent).as_posix()
                if key not in contents and file != path:
                    contents[key] = file.read_text(encoding="utf-8", errors="replace")
                    inside = file.parent.relative_to(path.parent)
                    queue.append((contents[key], ".".join(inside.parts)))
    return dict(sorted(contents.items()))


def reload_local_modules(folder: Path, files: Sequence[str]) -> None:
    """Make Python import these modules from a folder for the rest of the process, and drop cached versions of them.

    Args:
        folder: Folder of the space file.
        files: Result of ``local_imports``.
    """
    if not files:
        return
    names = {file.split("/")[0].removesuffix(".py") for file in files}
    for known, module in list(sys.modules.items()):
        if known.split(".")[0] in names and (known.split(".")[0] in _finder.folders or _lies_in(module, folder)):
            del sys.modules[known]
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _finder.folders |= dict.fromkeys(names, folder.resolve())
    importlib.invalidate_caches()


class _Finder:
    """Finds only the modules that a space file imports, so that nothing else in its folder shadows a library."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = self.folders.get(name)
        return PathFinder.find_spec(name, [str(folder)], target) if folder else None


_finder = _Finder()


def _imported(source: str, package: str) -> Iterator[str]:
    """Yield the dotted names that a source may import; ``package`` is the package of its file."""
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
    """Yield the files in a folder that importing a dotted name executes."""
    parts = name.strip(".").split(".")
    if parts[0] in EXCLUDED:
        return
    for depth in range(1, len(parts) + 1):
        stem = folder.joinpath(*parts[:depth])
        yield from (file for file in (stem / "__init__.py", stem.with_suffix(".py")) if file.is_file())


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and Path(str(file)).resolve().is_relative_to(folder.resolve())
