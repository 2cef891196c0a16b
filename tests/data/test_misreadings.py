"""Data that look valid but are easily misread are read correctly or refused with the reason."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_search.data import duplicates
from fer_search.data.duplicates import find_near_pairs
from fer_search.data.load import describe, load_dataset
from fer_search.data.options import DataOptions
from fer_search.data.split import make_split
from fer_search.errors import UserError

EMOTIONS = ("angry", "happy", "sad")


def face(number: int, size: int = 48) -> np.ndarray:
    """Return a smooth image that is unique to a number, uint8 (size, size)."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(30, 220, (6, 6)).astype(np.uint8))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def save(path: Path, pixels: np.ndarray, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def folders(root: Path, splits: tuple[str, ...] = ("train", "test"), each: int = 4, first: int = 0) -> Path:
    number = first
    for split in splits:
        for emotion in EMOTIONS:
            for _ in range(each):
                save(root / split / emotion / f"{number:04d}.png", face(number))
                number += 1
    return root


def load(source: Path | str, tmp_path: Path, **options):
    return load_dataset(str(source), cache_dir=tmp_path / "cache", options=DataOptions(**options))


def test_the_same_split_in_two_places_is_refused(tmp_path: Path) -> None:
    root = folders(tmp_path / "faces")
    folders(root / "archive")
    with pytest.raises(UserError, match=r"archive/test/ and test/ are the same split"):
        load(root, tmp_path)


def test_a_test_folder_in_another_place_is_refused(tmp_path: Path) -> None:
    root = folders(tmp_path / "faces", ("train",))
    folders(root / "backup", ("test",))
    with pytest.raises(UserError, match=r"backup/test/, train/ are not beside each other"):
        load(root, tmp_path)


def test_auto_uses_class_folders_in_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FER_SEARCH_DATA", raising=False)
    folders(tmp_path, ("data",), each=10)
    dataset = load_dataset("auto", cache_dir=tmp_path / "cache")
    assert (dataset.toy, dataset.source, dataset.classes) == (False, "data", EMOTIONS)


@pytest.mark.parametrize(("name", "content"), [("data.h5", b"no HDF5"), ("faces.tar", b"no tar"), ("a.zip", b"no zip")])
def test_auto_reports_unreadable_data_instead_of_falling_back(
    name, content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FER_SEARCH_DATA", raising=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"--data auto found data, but: data/{name} .*or --data toy") as caught:
        load_dataset("auto", cache_dir=tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_auto_reports_unused_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FER_SEARCH_DATA", raising=False)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    (tmp_path / "data" / "notes.md").write_text("about")
    dataset = load_dataset("auto")
    assert dataset.toy
    assert "data/ is not used: it holds notes.md, raw/, no data set" in describe(dataset)


def test_validation_arrays_in_an_npz_are_used(tmp_path: Path) -> None:
    images = np.stack([face(k) for k in range(30)])
    parts = {"train": slice(0, 18), "val": slice(18, 24), "test": slice(24, 30)}
    arrays = {f"x_{p}": images[s] for p, s in parts.items()} | {
        f"y_{p}": np.arange(30)[s] % 3 for p, s in parts.items()
    }
    np.savez(tmp_path / "faces.npz", **arrays)
    dataset = load(tmp_path / "faces.npz", tmp_path)
    np.testing.assert_array_equal(dataset.rows("validation"), np.arange(24, 30))
    np.testing.assert_array_equal(dataset.images[24:], images[18:24])
    split = make_split(dataset, validation=None)
    np.testing.assert_array_equal(split.validation, dataset.rows("validation"))
    assert "of its own validation split" in split.note
    assert len(make_split(dataset, validation=0.25).validation) == 6  # 25% of all 24


def test_unknown_arrays_are_reported(tmp_path: Path) -> None:
    images = np.stack([face(k) for k in range(24)])
    np.savez(tmp_path / "faces.npz", images=images, labels=np.arange(24) % 3, mean=images.mean(axis=0))
    assert "mean is not used" in load(tmp_path / "faces.npz", tmp_path).notes


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    root = folders(tmp_path / "faces")
    upright = np.zeros((48, 48), np.uint8)
    upright[:24] = 255  # bright upper half
    exif = Image.Exif()
    exif[0x0112] = 6  # camera held sideways: rotate clockwise
    lying = Image.fromarray(np.rot90(upright).copy())
    buffer = io.BytesIO()
    lying.save(buffer, "JPEG", exif=exif, quality=100)
    (root / "train" / "angry" / "0000.png").unlink()
    (root / "train" / "angry" / "0000.jpg").write_bytes(buffer.getvalue())
    dataset = load(root, tmp_path)
    np.testing.assert_allclose(dataset.images[0].astype(int), upright, atol=4)
    assert "1 of 24 images turned upright (EXIF orientation)" in dataset.notes


@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.float32, 1 / 255), (np.float32, 1), (np.int32, 257), (np.int32, 1), (np.float32, 1000)]
)
def test_32_bit_pixels_are_scaled(dtype, scale: float, tmp_path: Path) -> None:
    root = folders(tmp_path / "faces")
    (root / "train" / "angry" / "0000.png").unlink()
    pixels = face(0).astype(float)
    if scale == 1000:  # an arbitrary range is mapped to 0 to 255
        pixels = np.round((pixels - pixels.min()) / np.ptp(pixels) * 255)
    save(root / "train" / "angry" / "0000.tif", (pixels * scale).astype(dtype))
    dataset = load(root, tmp_path)
    np.testing.assert_allclose(dataset.images[0].astype(int), pixels, atol=1)
    assert any(note.startswith("1 of 24 images converted to 8-bit grey") for note in dataset.notes)


def test_two_data_sets_are_concatenated(tmp_path: Path) -> None:
    first, second = folders(tmp_path / "a"), folders(tmp_path / "b", first=100)
    for image in (second / "train" / "sad").iterdir():
        (second / "train" / "bored").mkdir(exist_ok=True)
        image.rename(second / "train" / "bored" / image.name)
    options = DataOptions(mapping=("bored=neutral",))
    dataset = load_dataset([str(first), str(second)], cache_dir=tmp_path / "cache", options=options)
    assert len(dataset.labels) == 48
    assert dataset.classes == ("angry", "happy", "sad", "neutral")
    assert dataset.origin_names == (str(first), str(second))
    np.testing.assert_array_equal(np.bincount(dataset.origins), [24, 24])
    with pytest.raises(UserError, match="is given twice"):
        load_dataset([str(first), str(first)], cache_dir=tmp_path / "cache")


def images_with_near_duplicates() -> tuple[np.ndarray, set[tuple[int, int]]]:
    """Return 40 images, copies of the first four (re-encoded, mirrored, brightened, exact) and a noisy fifth."""
    images = [face(k) for k in range(40)]
    buffer = io.BytesIO()
    Image.fromarray(images[0]).save(buffer, "JPEG", quality=60)
    copies = [
        np.asarray(Image.open(buffer)),
        images[1][:, ::-1],
        np.clip(images[2] * 0.8 + 30, 0, 255).astype(np.uint8),
        images[3],
    ]
    noise = np.random.default_rng(0).normal(0, 40, (48, 48))
    other = np.clip(images[4] + noise, 0, 255).astype(np.uint8)  # too noisy to count as a copy
    return np.stack([*images, *copies, other]), {(0, 40), (1, 41), (2, 42), (3, 43)}


def test_exactly_the_near_duplicates_are_found() -> None:
    images, expected = images_with_near_duplicates()
    assert {tuple(pair) for pair in find_near_pairs(images).tolist()} == expected
    in_colour = np.repeat(images[..., None], 3, axis=-1)
    assert {tuple(pair) for pair in find_near_pairs(in_colour).tolist()} == expected


def noisy_faces() -> np.ndarray:
    """Return 60 images and noisy copies, whose correlations are on both sides of the threshold."""
    rng = np.random.default_rng(1)
    base = np.stack([face(k) for k in range(60)]).astype(float)
    noisy = base + rng.normal(0, 1, base.shape) * rng.uniform(0, 12, (60, 1, 1))
    return np.clip(np.concatenate([base, noisy]), 0, 255).astype(np.uint8)


def turned_waves() -> np.ndarray:
    """Return 60 sums of two slow waves: near copies differ in little else than these."""
    angles, place = np.random.default_rng(1).uniform(0, np.pi, (60, 1, 1)), (np.arange(48) + 0.5) * np.pi / 48
    waves = np.cos(angles) * np.cos(place)[:, None] + np.sin(angles) * np.cos(2 * place)[:, None]
    return np.repeat(128 + 80 * waves, 48, axis=2).astype(np.uint8)


@pytest.mark.parametrize(("rows", "columns"), [(duplicates.ROWS, duplicates.COLUMNS), (7, 5)])
@pytest.mark.parametrize(("images", "least", "most"), [(noisy_faces(), 5, 60), (turned_waves(), 100, 400)])
def test_near_duplicate_search_matches_a_pairwise_comparison(
    images: np.ndarray, least: int, most: int, rows: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one block of pairs, and in several."""
    monkeypatch.setattr(duplicates, "ROWS", rows)
    monkeypatch.setattr(duplicates, "COLUMNS", columns)
    flat = images.reshape(len(images), -1).astype(float)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    mirrored = flat.reshape(-1, 48, 48)[:, :, ::-1].reshape(len(flat), -1)
    above = np.triu(np.maximum(flat @ flat.T, mirrored @ flat.T) > 0.99, 1)
    pairs = {tuple(pair) for pair in find_near_pairs(images).tolist()}
    assert pairs == {tuple(pair) for pair in np.argwhere(above).tolist()}
    assert least < len(pairs) < most


def test_near_duplicates_are_reported_dropped_or_kept_on_one_side(tmp_path: Path) -> None:
    root = folders(tmp_path / "faces", each=8)
    save(root / "train" / "happy" / "copy.png", face(24)[:, ::-1])  # mirrored test image of class angry
    # brightened copy within happy
    save(root / "train" / "happy" / "twin.png", np.clip(face(8) * 0.9 + 10, 0, 255).astype(np.uint8))
    dataset = load(root, tmp_path)
    from fer_search.data.audit import audit

    result = audit(dataset, tmp_path / "cache")
    assert (result.near, result.near_leaked, result.near_conflicting, result.near_leaking) == (2, 1, 1, 1)
    dropped = make_split(dataset, drop_duplicates="near")
    assert len(dropped.train) + len(dropped.validation) == 25
    assert len(make_split(dataset, drop_duplicates=True).train) + len(make_split(dataset).validation) == 26
    rows = [row for row in dataset.rows("train") if dataset.labels[row] == 1]
    pair = [row for row in rows if np.corrcoef(dataset.images[row].ravel(), face(8).ravel())[0, 1] > 0.99]
    assert len(pair) == 2
    for seed in range(8):
        assert np.isin(pair, make_split(dataset, validation=0.5, seed=seed).train).sum() in (0, 2)
