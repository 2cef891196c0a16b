"""The default search space."""

from pathlib import Path

import pytest

from fer_search import backend
from fer_search.commands import default_space
from fer_search.commands.default_space import choose_space
from fer_search.errors import UserError
from fer_search.space import load_space


def test_a_given_space_is_used_without_a_message(capsys):
    assert choose_space(Path(__file__)) == Path(__file__)
    assert capsys.readouterr().err == ""


def test_a_missing_space_is_named():
    with pytest.raises(UserError, match=r"cannot read the space nowhere\.py.*--space"):
        choose_space(Path("nowhere.py"))


@pytest.mark.parametrize(("device", "file"), [("CPU, 2 cores (x86_64)", "cpu.py"), ("NVIDIA H100 (JAX)", "modern.py")])
def test_the_default_space_depends_on_the_device_and_is_reported(monkeypatch, capsys, device, file):
    monkeypatch.setattr(backend, "device", lambda: device)
    path = choose_space(None)
    assert path.name == file
    stderr = capsys.readouterr().err
    assert str(path) in stderr
    assert device in stderr
    assert choose_space(None, silent=True) == path
    assert capsys.readouterr().err == ""
    assert load_space(path).baselines


def test_space_is_required_where_the_bundled_spaces_are_missing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(default_space, "FOLDER", "no_such_folder")
    with pytest.raises(UserError, match=r"--space FILE"):
        choose_space(None)
