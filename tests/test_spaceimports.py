"""Spaces that import modules from their own folder."""

import hashlib
import importlib
import sys
from pathlib import Path

import pytest

from fer_search.errors import UserError
from fer_search.space import load_space
from fer_search.spaceimports import local_imports

SPACE = """
import json
import own_lists
from fer_search.design import Design, Residual
def design(hp):
    from parts.heads import HEAD  # only when it is called
    return Design(network=Residual(stages=((hp.Choice("filters", own_lists.FILTERS),),)), head=HEAD)
"""
FILES = {
    "own_lists.py": "from parts import rates\nFILTERS = [4, 2]\n",
    "parts/__init__.py": "",
    "parts/heads.py": "from fer_search.design import Head\nfrom .rates import DROPOUT\nHEAD = Head(dropout=DROPOUT)\n",
    "parts/rates.py": "DROPOUT = 0.1\n",
    "other.py": "raise RuntimeError('nobody imports this')\n",
    "json.py": "DROPOUT = 'what a library of this name would be hidden by'\n",
    "fer_search/__init__.py": "raise RuntimeError('this is no part of a space')\n",
}


@pytest.fixture
def space(tmp_path):
    return made(tmp_path / "mine")


def made(folder: Path, files=FILES) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "space.py").write_text(SPACE)
    return folder / "space.py"


def test_modules_imported_from_the_spaces_folder_are_part_of_it(space):
    loaded = load_space(space)
    files = ["own_lists.py", "parts/__init__.py", "parts/heads.py", "parts/rates.py"]
    assert loaded.modules == {name: FILES[name] for name in files}
    assert loaded.design(loaded.choices()).head.dropout == (0.1,)
    before = loaded.sha256
    (space.parent / "parts" / "rates.py").write_text("DROPOUT = 0.25\n")
    again = load_space(space)
    assert again.sha256 != before
    assert again.design(again.choices()).head.dropout == (0.25,)  # no state of the first load is left


def test_the_modules_of_two_spaces_do_not_mix(space, tmp_path):
    load_space(space)
    other = load_space(made(tmp_path / "yours", FILES | {"own_lists.py": "FILTERS = [8, 6]\n"}))
    assert other.all_choices.values == {"filters": 8}
    assert load_space(space).all_choices.values == {"filters": 4}


def test_a_space_without_modules_is_hashed_as_its_text(tiny_space):
    loaded = load_space(tiny_space)
    assert loaded.modules == {}
    assert loaded.sha256 == hashlib.sha256(tiny_space.read_bytes()).hexdigest()  # compatible with older runs


def test_files_next_to_a_space_do_not_shadow_libraries(space, monkeypatch):
    load_space(space)
    monkeypatch.delitem(sys.modules, "json")
    assert hasattr(importlib.import_module("json"), "loads")


def test_errors_in_modules_are_reported(space):
    wrong = space.parent / "parts" / "rates.py"
    wrong.write_text("DROPOUT = 0.1\nDROPOUT =\n")
    with pytest.raises(UserError, match=rf"{wrong}, line 2: invalid syntax"):
        load_space(space)
    wrong.write_bytes(b"\xff")
    assert local_imports(space, SPACE)["parts/rates.py"] == "\ufffd"
    (space.parent / "own_lists.py").unlink()
    with pytest.raises(UserError, match=r"space\.py, line \d+: ModuleNotFoundError: No module named 'own_lists'"):
        load_space(space)
