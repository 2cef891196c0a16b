"""Counts, output and plots of ``data info``."""

from __future__ import annotations

import base64
import io
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fer_search.data.audit import audit, plot_samples
from fer_search.data.audit_tables import tables
from fer_search.data.dataset import Dataset
from fer_search.data.duplicates import duplicates_of_train, picture_ids
from fer_search.data.load import load_dataset
from fer_search.data.spec import FER2013_CLASSES as CLASSES
from fer_search.errors import UserError


def of_pictures(pictures: list[int], labels: list[int], splits: list[int], **more) -> Dataset:
    """Return a data set in which rows with equal picture numbers have equal pixels; picture 0 is blank."""
    different = np.random.default_rng(0).integers(0, 256, (max(pictures) + 1, 48, 48)).astype(np.uint8)
    different[0] = 17
    arrays = different[pictures], np.array(labels, np.uint8), np.array(splits, np.uint8)
    return Dataset(*arrays, **{"name": "some", "source": "here"} | more)


# Rows:            0  1  2  3  4  5  6  7  8  9
KNOWN = of_pictures(
    pictures=[1, 1, 2, 3, 0, 2, 2, 4, 0, 3],
    labels=[0, 0, 1, 2, 3, 1, 4, 5, 6, 2],
    splits=[0, 0, 0, 0, 0, 1, 1, 1, 2, 2],
)


def test_counts_match_a_hand_computed_case() -> None:
    result = audit(KNOWN)
    assert result.counts.tolist() == [
        [2, 1, 1, 1, 0, 0, 0],
        [0, 1, 0, 0, 1, 1, 0],
        [0, 0, 1, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    assert result.blank.tolist() == [1, 0, 1, 0, 0]
    assert result.repeated == 5  # rows 1, 5, 6, 8, 9
    assert result.copies[:3, :3].tolist() == [[1, 1, 2], [2, 1, 0], [2, 0, 0]]
    assert result.leaked == 4  # rows 5, 6, 8, 9
    assert result.leaking == 3  # rows 2, 3, 4
    assert result.conflicting.tolist() == [2, 2, 1, 0, 0]  # pictures 2 (disgust, sad) and 0 (happy, neutral)
    assert dict(result.conflicts) == {(1, 4): 1, (3, 6): 1}


def test_counts_of_fer2013_match_the_published_numbers(fer2013_npz: Path) -> None:
    result = audit(load_dataset(str(fer2013_npz)))
    assert result.counts.sum(axis=1).tolist() == [28_709, 3_589, 3_589, 0, 0]
    assert result.counts[0].tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert result.repeated == 1_853
    assert result.blank.sum() == 12
    assert result.copies[1:3, 0].tolist() == [280, 288]
    assert result.leaked == 568
    assert (result.near, result.near_leaked, result.near_leaking) == (240, 85, 771)


def test_counts_of_fer2013_are_printed(fer2013_npz: Path, data_info) -> None:
    code, out, err = data_info(fer2013_npz)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["blank", "(a", "single", "grey)", "11", "1", "0", "12"] in lines
    assert ["repeats", "an", "earlier", "one", "1,236", "26", "17", "1,853"] in lines
    assert ["also", "in", "train", "280", "288", "568"] in lines
    assert ["all", "28,709", "3,589", "3,589", "35,887"] in lines
    assert "FER2013 (npz)" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("form", ["folders", "csv"])
def test_output_fits_80_columns(form: str, small, tmp_path: Path, data_info) -> None:
    source = getattr(small, form)(tmp_path / f"[bold]{'x' * 60}")
    _, out, _ = data_info(source)
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out  # no colours in a pipe
    assert str(source) in out.replace("\n", "")  # paths are not interpreted as Rich markup
    assert "nothing was converted" in out
    for name in CLASSES:
        assert re.search(rf"^ {name} .*14\.3% *$", out, re.MULTILINE)
    assert "No image occurs twice." in out


def test_notes_and_conflicts_are_reported() -> None:
    from rich.console import Console

    console = Console(width=80, record=True, file=io.StringIO())
    data = Dataset(KNOWN.images, KNOWN.labels, KNOWN.splits, "n", "s", notes=("9 of 10 images resized",))
    for part in tables(audit(data), data):
        console.print(part)
    output = " ".join(console.export_text().split())
    for part in (
        "Note: 9 of 10 images resized.",
        "5 images are exact duplicates of an earlier one",
        "4 of the 5 test images (80.0%) are in train too; --drop-duplicates leaves 3 training images out.",
        "2 different pictures occur with more than one label (5 images)",
        "disgust and sad (1)",
    ):
        assert part in output
    assert "nothing was converted" not in output


def test_toy_faces_are_labelled_as_toy_faces(data_info) -> None:
    _, out, _ = data_info("toy")
    assert "Drawn by a program" in out
    assert "FER2013" not in out.replace("not FER2013", "")


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=12))
def test_duplicates_match_a_pairwise_comparison(rows: list[tuple[int, int]]) -> None:
    pictures, splits = [p for p, _ in rows], [s for _, s in rows]
    data = of_pictures(pictures, [0] * len(rows), splits)
    numbers = picture_ids(data.images)
    for a in range(len(rows)):
        for b in range(len(rows)):
            assert (numbers[a] == numbers[b]) == np.array_equal(data.images[a], data.images[b])
    expected = [s > 0 and any(p == q and t == 0 for q, t in rows) for p, s in rows]
    assert duplicates_of_train(data).tolist() == expected


def images_of(html: str) -> dict[str, list[np.ndarray]]:
    """Return the images of a page by their titles."""
    images: dict[str, list[np.ndarray]] = {}
    for tag in re.findall(r"<img [^>]*>", html):
        data, title = (re.search(rf'{name}="([^"]*)"', tag)[1] for name in ("src", "title"))  # type: ignore[index]
        assert data.startswith("data:image/png;base64,")
        with Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))) as picture:
            images.setdefault(title, []).append(np.asarray(picture))
    return images


def test_the_page_shows_each_class(faces: Dataset, tmp_path: Path) -> None:
    html = plot_samples(faces, tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    images = images_of(html)
    train = faces.rows("train")
    for c, name in enumerate(CLASSES):
        own = train[faces.labels[train] == c]
        rows = [int(title.rpartition(" ")[2]) for title in images if title.startswith(f"{name}, row ")]
        assert len(rows) == min(24, len(own))
        assert set(rows) <= set(own)
        for row in rows:
            np.testing.assert_array_equal(images[f"{name}, row {row}"][0], faces.images[row])
        mean = faces.images[own].mean(axis=0)
        shown = images[f"mean face, {name}"][0]
        assert np.corrcoef(mean.ravel(), shown.ravel())[0, 1] > 0.999
        assert (shown.min(), shown.max()) == (0, 255)
        assert f"<span>{len(own)} training images</span>" in html


def test_the_page_is_self_contained(faces: Dataset, tmp_path: Path) -> None:
    html = plot_samples(faces, tmp_path / "page.html").read_text(encoding="utf-8")
    without_pictures = re.sub(r'src="data:image/png;base64,[^"]*"', "", html)
    assert not re.search(r"https?://|\bsrc=|url\(|@import|<script", without_pictures)
    assert "default-src 'none'" in html
    assert "prefers-color-scheme: dark" in html
    assert "drawn by a program" in html


def test_the_page_is_deterministic_and_overwritten(faces: Dataset, tmp_path: Path) -> None:
    first = plot_samples(faces, tmp_path / "page.html").read_bytes()
    assert plot_samples(faces, tmp_path / "page.html").read_bytes() == first
    assert plot_samples(faces, tmp_path / "page.html", seed=1).read_bytes() != first
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_names_in_the_page_are_escaped(faces: Dataset, tmp_path: Path) -> None:
    evil = "</title><script>alert('x')</script>&"
    data = Dataset(faces.images, faces.labels, faces.splits, evil, evil, notes=(evil,))
    html = plot_samples(data, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert unescape(html).count(evil) == 4  # title, heading, source, note


def test_the_page_shows_classes_with_one_image(tmp_path: Path) -> None:
    labels = [0, 1, 2, 3, 4, 5, 6, 6]
    data = of_pictures(list(range(8)), labels, [0] * 7 + [3])
    assert len(images_of(plot_samples(data, tmp_path / "p.html").read_text(encoding="utf-8"))) == 14


def test_an_unwritable_page_is_reported(faces: Dataset, tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder.html", tmp_path / "file" / "page.html"):
        with pytest.raises(UserError, match=r"cannot write .*; give another file with --plot"):
            plot_samples(faces, path)


def test_the_command_writes_the_plot(small, tmp_path: Path, data_info) -> None:
    code, out, _ = data_info(small.csv(tmp_path / "a.csv"), "--plot", tmp_path / "page.html")
    assert code == 0
    assert out.splitlines()[-1] == str(tmp_path / "page.html")
    assert len(images_of((tmp_path / "page.html").read_text(encoding="utf-8"))) == 28
