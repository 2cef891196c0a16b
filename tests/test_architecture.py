"""The structure of the code: imports are layered and acyclic; files and functions are short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fer_search"
MAX_FILE_LINES, MAX_FUNCTION_LINES = 300, 50

# From top to bottom, as in the README's architecture section: packages import from their own line and lines below.
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
    ("files", "pictures", "tuner_entries", "console", "terminal", "xla_flags", "fast_imports"),
    ("errors",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
BACKEND_FILES = {
    "backend.py",
    "export/formats.py",  # converters to TFLite, ONNX and SavedModel
    "export/runtime.py",  # runs the converted models
    "models/normalization.py",
    "search/trials/tensorboard.py",  # writes TensorBoard event files
    "training/jax_engine.py",
    "training/tensorflow_engine.py",
    "training/tensorflow_programs.py",
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
    """Yield a file's imports, including those inside functions, as dotted names of modules or their members."""
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
    """Return the module that a dotted name refers to or is defined in."""
    return next((name for name in (full, full.rpartition(".")[0]) if name in known), None)


def subpackage(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_subpackage_has_a_layer():
    assert {subpackage(name) for name in modules()} - {""} <= set(LEVEL), (
        "add the subpackage to LAYERS and to the README"
    )


def test_imports_only_go_to_the_same_or_lower_layers():
    wrong = [
        f"{name} imports {target}"
        for name, targets in dependencies().items()
        for target in targets
        if subpackage(name) and subpackage(target) and LEVEL[subpackage(name)] > LEVEL[subpackage(target)]
    ]
    assert wrong == []


def test_imports_are_acyclic():
    """Packages are represented by their __init__; fer_search itself imports lazily and is excluded."""
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


def test_only_backend_files_import_a_backend():
    def imports_backend(path: Path) -> bool:
        return any(full.split(".")[0] in ("tensorflow", "jax") for full in imported(path))

    importing = {path.relative_to(PACKAGE).as_posix() for path in modules().values() if imports_backend(path)}
    assert importing == BACKEND_FILES


@pytest.mark.parametrize("subpackage_name", ["report", "runfolder", "runs", "data", "design"])
def test_packages_that_only_read_do_not_import_keras(subpackage_name):
    """Checks direct imports, also inside functions."""
    heavy = {"keras", "tensorflow", "jax", "keras_tuner"}
    for path in (PACKAGE / subpackage_name).rglob("*.py"):
        assert not heavy & {full.split(".")[0] for full in imported(path)}, path


def test_files_are_short():
    folders = (PACKAGE, ROOT / "search_spaces", ROOT / "benchmarks", ROOT / "tests")
    lengths = {path: len(path.read_text().splitlines()) for folder in folders for path in folder.rglob("*.py")}
    assert {str(path): lines for path, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_functions_are_short():
    """Not counting signature and docstring: a command has a parameter for each option."""
    long = []
    for path in modules().values():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {lines} lines")
    assert long == []
