"""The structure of the code: imports go one way and never in a circle; files and functions stay short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fer_search"
MAX_FILE_LINES, MAX_FUNCTION_LINES = 300, 50

# From top to bottom, as in the README's architecture section: a room imports from its own line and those below it.
LAYERS = (
    ("cli",),
    ("commands",),
    ("confirm", "export", "predict", "hypermodel"),
    ("runs",),
    ("report",),
    ("search",),
    ("inspection",),
    ("training",),
    ("runfolder",),
    ("augment",),
    ("models",),
    ("backend",),
    ("data",),
    ("space", "spacefile", "spaceguard", "spaceimports", "spacebuild", "choices", "choicechecks"),
    ("design",),
    ("files", "console", "terminal"),
    ("errors",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
BACKEND_FILES = {
    "backend.py",
    "export/formats.py",  # converters to TFLite, ONNX and SavedModel
    "export/runtime.py",  # which runs them
    "models/normalization.py",
    "search/trials/tensorboard.py",  # writes its event files
    "training/jax_engine.py",
    "training/tensorflow_engine.py",
    "training/tensorflow_optimizer.py",
}


@cache
def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Yield what a file imports, inside functions too, as dotted names of modules or of names in them."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def dependencies() -> dict[str, set[str]]:
    """Return the modules of the package that each module imports."""
    known = modules()
    return {
        name: {target for full in imported(path) if (target := owner(full, known)) and target != name}
        for name, path in known.items()
    }


def owner(full: str, known: dict[str, Path]) -> str | None:
    """Return the module that a dotted name is, or is in."""
    return next((name for name in (full, full.rpartition(".")[0]) if name in known), None)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_its_place():
    assert {room(name) for name in modules()} - {""} <= set(LEVEL), "add the room to LAYERS and to the README"


def test_imports_go_down_only():
    wrong = [
        f"{name} imports {target}"
        for name, targets in dependencies().items()
        for target in targets
        if room(name) and room(target) and LEVEL[room(name)] > LEVEL[room(target)]
    ]
    assert wrong == []


def test_no_imports_in_a_circle():
    """Packages count as what their __init__ imports; the package itself imports lazily and is left out."""
    edges = {name: targets - {"fer_search"} for name, targets in dependencies().items() if name != "fer_search"}
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " imports ".join([*path[path.index(name) :], name])
        if name not in finished:
            for target in sorted(edges[name]):
                visit(target, (*path, name))
            finished.add(name)

    for name in sorted(edges):
        visit(name, ())


def test_only_the_backends_files_import_one():
    def imports_backend(path: Path) -> bool:
        return any(full.split(".")[0] in ("tensorflow", "jax") for full in imported(path))

    found = {path.relative_to(PACKAGE).as_posix() for path in modules().values() if imports_backend(path)}
    assert found == BACKEND_FILES


@pytest.mark.parametrize("room_name", ["report", "runfolder", "runs", "data", "design"])
def test_rooms_that_read_need_no_keras(room_name):
    """Directly or through what they import at the top of a file."""
    heavy = {"keras", "tensorflow", "jax", "keras_tuner"}
    for path in (PACKAGE / room_name).rglob("*.py"):
        assert not heavy & {full.split(".")[0] for full in imported(path)}, path


def test_files_are_short():
    folders = (PACKAGE, ROOT / "search_spaces", ROOT / "benchmarks", ROOT / "tests")
    lengths = {path: len(path.read_text().splitlines()) for folder in folders for path in folder.rglob("*.py")}
    assert {str(path): lines for path, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_functions_are_short():
    """Without their signature and docstring: a command has a parameter for each option."""
    long = []
    for path in modules().values():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {lines} lines")
    assert long == []
