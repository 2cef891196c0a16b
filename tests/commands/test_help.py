"""Help texts, completion, environment variables and the output before a search starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from fer_search.cli import app
from fer_search.commands.panels import OTHER


def fer_search(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-m", "fer_search.cli", *arguments]
    environment = os.environ | {"COLUMNS": "80", "NO_COLOR": "1"} | variables
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("command", [(), ("space",), ("data",)])
def test_bare_command_prints_its_help_line_by_line(command: tuple[str, ...]) -> None:
    done = fer_search(*command)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Usage: fer-search")
    assert len(lines) > 8
    assert max(map(len, lines)) <= 80
    assert done.stderr == ""


def test_every_option_of_run_is_in_a_group() -> None:
    run = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    with run.make_context("run", [], resilient_parsing=True) as context:
        text = run.get_help(context)
    assert OTHER not in text
    positions = [text.index(f"{name}:") for name in ("Space and data", "Search", "Machine", "Run folder", "Output")]
    assert positions == sorted(positions)


def test_tab_completes_commands() -> None:
    done = fer_search(_FER_SEARCH_COMPLETE="complete_bash", COMP_WORDS="fer-search no", COMP_CWORD="1")
    assert done.stdout.split() == ["note"]


def test_version_variable_does_not_replace_the_command(tmp_path: Path) -> None:
    done = fer_search("runs", "--results-dir", str(tmp_path), FER_SEARCH_VERSION="1")
    assert done.returncode == 2
    assert "there is no run" in done.stderr


@pytest.mark.slow
def test_invalid_data_is_reported_before_any_download(tmp_path: Path) -> None:
    """With a pretrained backbone in the space, the data path is checked first, and progress is printed."""
    space = "search_spaces/backbones.py"
    done = fer_search("run", "--space", space, "--data", str(tmp_path / "nowhere"), "--results-dir", str(tmp_path))
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0] == "Starting Keras ..."
    assert "Reading the data set ..." in lines
    assert "nowhere" in lines[-1]
    assert "weights" not in done.stderr
