"""--data auto, downloads, and the messages about them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from fer_search.data.download import SETS, download
from fer_search.data.find import find_data
from fer_search.data.load import describe, load_dataset
from fer_search.errors import UserError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("FER_SEARCH_DATA", raising=False)


def test_auto_looks_in_data_then_the_environment_then_the_downloads(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_data(tmp_path) is None
    download(fetch=lambda handle: str(small.folders(tmp_path / "kaggle")), cache_dir=tmp_path)
    assert find_data(tmp_path) == (tmp_path / "kaggle").resolve()
    monkeypatch.setenv("FER_SEARCH_DATA", str(small.csv(tmp_path / "mine.csv")))
    assert find_data(tmp_path) == tmp_path / "mine.csv"
    small.folders(Path("data"))
    assert find_data(tmp_path) == Path("data")
    assert len(load_dataset("auto", cache_dir=tmp_path / "cache").labels) == 42


@pytest.mark.parametrize("inside", [[], [".gitkeep"], ["README.md", "raw/notes.txt"]])
def test_a_data_folder_without_face_data_is_ignored(inside: list[str], small, tmp_path: Path) -> None:
    Path("data").mkdir()
    for name in inside:
        (Path("data") / name).parent.mkdir(exist_ok=True)
        (Path("data") / name).write_text("x")
    assert find_data(tmp_path) is None


@pytest.mark.parametrize("where", ["data/fer2013.csv", "data/kaggle/fer2013.csv"])
def test_files_in_data_are_found(where: str, small, tmp_path: Path) -> None:
    Path(where).parent.mkdir(parents=True)
    small.csv(Path(where))
    assert len(load_dataset("auto", cache_dir=tmp_path / "cache").labels) == 42


def test_an_invalid_environment_variable_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_SEARCH_DATA", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"FER_SEARCH_DATA=.*gone: no such file"):
        load_dataset("auto", cache_dir=tmp_path)


def test_a_download_that_was_removed_is_forgotten(small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "kaggle")
    download(fetch=lambda handle: str(folder), cache_dir=tmp_path)
    folder.rename(tmp_path / "elsewhere")
    assert find_data(tmp_path) is None
    (tmp_path / "downloaded.json").write_text("[]")
    assert find_data(tmp_path) is None


def test_auto_falls_back_to_toy_faces_and_reports_it() -> None:
    toy = load_dataset("auto")
    description = describe(toy)
    assert toy.toy
    assert "toy faces, drawn by a program, not FER2013" in description
    assert "fer-search data download" in description
    assert "6,000 train, 1,500 test" in description


def test_describe_gives_source_counts_and_notes(small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "f")
    first = sorted((folder / "train" / "angry").iterdir())[0]
    Image.open(first).convert("RGB").save(first)
    description = describe(load_dataset(str(folder)))
    for part in (
        "42 faces (class folders)",
        str(folder),
        "21 train, 21 test",
        "Note: 1 of 42 images converted to 8-bit grey",
    ):
        assert part in description


@pytest.mark.parametrize("which", SETS)
def test_download_uses_kagglehub(which: str, small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def dataset_download(handle: str) -> str:
        asked.append(handle)
        return str(small.folders(tmp_path / "kaggle"))

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=dataset_download))
    assert download(which, cache_dir=tmp_path) == tmp_path / "kaggle"
    assert asked == [SETS[which]]
    assert len(load_dataset("auto", cache_dir=tmp_path).labels) == 42


def test_download_without_kagglehub_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(UserError, match=r"pip install '\.\[kaggle\]'"):
        download(cache_dir=tmp_path)


def test_a_failed_download_is_a_one_line_error(tmp_path: Path) -> None:
    def fetch(handle: str) -> str:
        raise ConnectionError("no route to kaggle.com\nand more")

    with pytest.raises(UserError) as caught:
        download(fetch=fetch, cache_dir=tmp_path)
    assert "msambare/fer2013 could not be fetched (no route to kaggle.com)" in str(caught.value)
    assert "--data" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert find_data(tmp_path) is None


def test_download_of_an_unknown_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'affectnet' is unknown; choose fer2013 or emotion-detection"):
        download("affectnet", fetch=str, cache_dir=tmp_path)
