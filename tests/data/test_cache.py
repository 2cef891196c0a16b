"""A data set is parsed once; a damage_cache cache and a changed source are detected."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from fer_search.data.cache import cached
from fer_search.data.load import load_dataset
from fer_search.data.raw import RawData


def change_silently(file: Path) -> None:
    """Change a file but keep its size and mtime, so that only reading it reveals the change."""
    state = file.stat()
    file.write_bytes(bytes(len(file.read_bytes())))
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("form", ["folders", "csv"])
def test_the_second_load_does_not_read_the_source(form: str, small, tmp_path: Path) -> None:
    source = getattr(small, form)(tmp_path / "source")
    first = load_dataset(str(source), cache_dir=tmp_path / "cache")
    for file in source.rglob("*.png") if source.is_dir() else [source]:
        change_silently(file)
    second = load_dataset(str(source), cache_dir=tmp_path / "cache")
    assert second.fingerprint == first.fingerprint
    assert (second.name, second.notes, second.source) == (first.name, first.notes, first.source)


def test_arrays_are_memory_mapped_and_cannot_be_changed(small, tmp_path: Path) -> None:
    source = str(small.csv(tmp_path / "a.csv"))
    for _ in range(2):
        images = load_dataset(source, cache_dir=tmp_path / "cache").images
        assert isinstance(images, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            images[0, 0, 0] = 1


def test_notes_are_cached(small, tmp_path: Path) -> None:
    arrays = small.arrays()
    np.savez(tmp_path / "a.npz", **{k: a[:, :40, :40] if k[0] == "x" else a for k, a in arrays.items()})
    first, second = (load_dataset(str(tmp_path / "a.npz"), cache_dir=tmp_path / "cache").notes for _ in range(2))
    assert first == second
    assert len(first) == 1


def damage_cache(folder: Path, how: str) -> None:
    images = next(folder.glob("data/*/images.npy"))
    entry = next(folder.glob("sources/*.json"))
    content = bytearray(images.read_bytes())
    if how == "a bit":
        content[-1000] ^= 1
        images.write_bytes(content)
    elif how == "zeros":  # as after a power failure
        images.write_bytes(bytes(len(content)))
    elif how == "cut short":
        images.write_bytes(content[:-100])
    elif how == "empty":
        images.write_bytes(b"")
    elif how == "gone":
        images.unlink()
    else:
        entry.write_text(how)


@pytest.mark.parametrize(
    "how",
    ["a bit", "zeros", "cut short", "empty", "gone", "", "{}", "[]", "null", '{"content": 3}', '{"content": "x"}'],
)
def test_a_damaged_entry_is_rebuilt(how: str, small, tmp_path: Path) -> None:
    source, cache = small.csv(tmp_path / "a.csv"), tmp_path / "cache"
    load_dataset(str(source), cache_dir=cache)
    damage_cache(cache, how)
    np.testing.assert_array_equal(load_dataset(str(source), cache_dir=cache).images, small.images)
    change_silently(source)  # the entry was rebuilt: the source is no longer read
    np.testing.assert_array_equal(load_dataset(str(source), cache_dir=cache).images, small.images)
    assert not list(cache.rglob(".*")), "temporary files left behind"


def test_a_changed_file_is_detected(small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "f")
    before = load_dataset(str(folder), cache_dir=tmp_path / "cache")
    first, other = sorted((folder / "train" / "angry").iterdir())[:2]
    first.write_bytes(other.read_bytes())
    after = load_dataset(str(folder), cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(after.images[0], before.images[1])
    assert after.fingerprint != before.fingerprint


def test_a_one_digit_change_is_detected(small, tmp_path: Path) -> None:
    source = small.csv(tmp_path / "a.csv")
    load_dataset(str(source), cache_dir=tmp_path / "cache")
    rows = small.rows()
    rows[0] = str((small.labels[0] + 1) % 7) + rows[0][1:]
    before = source.stat()
    small.csv(source, rows=rows)
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert source.stat().st_size == before.st_size
    assert load_dataset(str(source), cache_dir=tmp_path / "cache").labels[0] == (small.labels[0] + 1) % 7


def test_new_and_moved_files_are_detected(small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "f")
    assert len(load_dataset(str(folder), cache_dir=tmp_path / "cache").labels) == 42
    image_file = sorted((folder / "train" / "angry").iterdir())[0]
    (folder / "train" / "angry" / "zzz.png").write_bytes(image_file.read_bytes())
    assert len(load_dataset(str(folder), cache_dir=tmp_path / "cache").labels) == 43
    image_file.rename(folder / "train" / "happy" / "moved.png")
    labels = load_dataset(str(folder), cache_dir=tmp_path / "cache").labels
    assert np.bincount(labels).tolist() == [6, 6, 6, 7, 6, 6, 6]
    # The last file of one folder becomes the first of the next, so sizes and mtimes stay the same, in the same order.
    (folder / "train" / "angry" / "zzz.png").rename(folder / "train" / "disgusted" / "000.png")
    labels = load_dataset(str(folder), cache_dir=tmp_path / "cache").labels
    assert np.bincount(labels).tolist() == [5, 7, 6, 7, 6, 6, 6]


def test_the_same_content_is_cached_once(small, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **small.arrays())
    for source in (small.csv(tmp_path / "a.csv"), small.icml(tmp_path / "b.csv"), tmp_path / "a.npz"):
        dataset = load_dataset(str(source), cache_dir=tmp_path / "cache")
        assert dataset.name == f"42 faces ({source.suffix[1:]})"
    assert len(list((tmp_path / "cache" / "data").iterdir())) == 1


def test_loading_works_without_a_writable_cache(small, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    dataset = load_dataset(str(small.csv(tmp_path / "a.csv")), cache_dir=tmp_path / "file" / "cache")
    np.testing.assert_array_equal(dataset.images, small.images)


def test_the_cache_folder_can_be_set_by_an_environment_variable(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_SEARCH_CACHE", str(tmp_path / "mine"))
    load_dataset(str(small.csv(tmp_path / "a.csv")))
    assert list((tmp_path / "mine").rglob("images.npy"))


def test_an_empty_data_set_is_cached(tmp_path: Path) -> None:
    nothing = np.empty(0, np.uint8)
    for _ in range(2):
        dataset = cached("key", lambda: RawData(np.empty((0, 48, 48), np.uint8), nothing, nothing, "csv"), tmp_path)
        assert dataset.images.shape == (0, 48, 48)


@pytest.mark.soak
def test_fer2013_opens_in_well_under_a_second(fer2013_npz: Path) -> None:
    first = load_dataset(str(fer2013_npz))
    start = time.perf_counter()
    second = load_dataset(str(fer2013_npz))
    assert time.perf_counter() - start < 0.6
    assert second.fingerprint == first.fingerprint
