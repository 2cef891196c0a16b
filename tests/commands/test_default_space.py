"""The space that is searched if none is given."""

from pathlib import Path

import pytest

from fer_search import backend
from fer_search.commands import default_space
from fer_search.commands.default_space import choose_space
from fer_search.errors import UserError
from fer_search.space import load_space


def test_a_given_space_is_taken_without_a_word(capsys):
    assert choose_space(Path("mine.py")) == Path("mine.py")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("device", "file"), [("CPU, 2 cores (x86_64)", "cpu.py"), ("NVIDIA H100 (JAX)", "modern.py")])
def test_the_device_decides_and_it_is_said(monkeypatch, capsys, device, file):
    monkeypatch.setattr(backend, "device", lambda: device)
    path = choose_space(None)
    assert path.name == file
    said = capsys.readouterr().err
    assert str(path) in said
    assert device in said
    assert choose_space(None, silent=True) == path
    assert capsys.readouterr().err == ""
    assert load_space(path).baselines


def test_without_our_spaces_one_must_be_given(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(default_space, "FOLDER", "no_such_folder")
    with pytest.raises(UserError, match=r"--space FILE"):
        choose_space(None)
