"""Runs the README's quick start, from a clone to a photo, as written."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops
from skimage import data

from fer_search import cli

ROOT = Path(__file__).resolve().parents[1]


def lines() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("### From a clone to your own photo\n\n")[1].split("\n\n")[0]
    return [line.strip() for line in block.splitlines()]


@pytest.mark.slow
def test_the_readmes_quick_start_works(tmp_path, monkeypatch, capsys):
    """All lines but the first, which installs, with a photo of an astronaut."""
    install, *commands = lines()
    assert install.startswith("make install")
    assert len(commands) == 5
    shutil.copytree(ROOT / "search_spaces", tmp_path / "search_spaces")
    Image.fromarray(data.astronaut()).save(tmp_path / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    printed = []
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        assert sys.argv[0] == "fer-search"
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        assert end.value.code in (0, None), f"{command}\n{out}\n{err}"
        printed.append(out)
    run = tmp_path / "results" / "first"
    assert (run / "report.html").read_text(encoding="utf-8").count("model.keras")
    assert (run / "export" / "tflite" / "model.tflite").exists()
    assert "must not decide about people" in (run / "export" / "tflite" / "MODEL_CARD.md").read_text(encoding="utf-8")
    (row,) = [line for line in printed[3].splitlines() if line.startswith("photo.jpg")]
    assert abs(int(re.search(r"at (\d+),", row)[1]) - 177) < 9  # where her face is
    with Image.open(tmp_path / "annotated" / "photo.jpg") as drawn, Image.open(tmp_path / "photo.jpg") as photo:
        changed = np.asarray(ImageChops.difference(drawn.convert("RGB"), photo)).max(axis=2) > 60
    assert changed.any()
    rows, columns = np.nonzero(changed)
    assert (rows.max() < 175, columns.min() > 150, columns.max() < 310) == (True, True, True)


def test_the_readme_lists_the_classes_in_output_order():
    from fer_search.data.spec import FER2013_CLASSES as CLASSES

    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"**{', '.join(CLASSES)}**" in text
