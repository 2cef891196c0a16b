"""Every layout of FER2013 gives the same images, labels and splits."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_search.data import table
from fer_search.data.dataset import fingerprint
from fer_search.data.load import load_dataset
from fer_search.data.options import DataOptions
from fer_search.data.read import read
from fer_search.errors import UserError

PLAIN = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SHOUTED = ("Angry", "Disgust", "Fear", "Happy", "SAD", "Surprise", "Neutral")


def assert_same(loaded, expected, atol: int = 0) -> None:
    for array in (loaded.images, loaded.labels, loaded.splits):
        assert array.dtype == np.uint8
    assert loaded.images.shape == expected.images.shape
    np.testing.assert_allclose(loaded.images.astype(int), expected.images.astype(int), atol=atol, rtol=0)
    np.testing.assert_array_equal(loaded.labels, expected.labels)
    np.testing.assert_array_equal(loaded.splits, expected.splits)


WITH_ORDER: dict[str, Callable] = {
    "fer2013.csv": lambda small, path: small.csv(path / "fer2013.csv"),
    "icml_face_data.csv": lambda small, path: small.icml(path / "icml_face_data.csv"),
    "quoted": lambda small, path: small.csv(
        path / "q.csv", '"emotion","pixels","Usage"', ['"' + r.replace(",", '","') + '"' for r in small.rows()]
    ),
    "windows": lambda small, path: small.csv(
        path / "w.csv", "\ufeffemotion,pixels,Usage\r", [r + "\r" for r in small.rows()]
    ),
    "blank lines": lambda small, path: small.csv(path / "b.csv", rows=["", *small.rows(), "", ""]),
    "no end of the last line": lambda small, path: cut_end(small.csv(path / "e.csv")),
    "npz": lambda small, path: save(path / "fer2013.npz", small.arrays()),
    "compressed npz": lambda small, path: save(path / "fer2013.npz", small.arrays(), np.savez_compressed),
    "npz by another name": lambda small, path: save(path / "x.npz", small.arrays()).rename(path / "arrays"),
    "npz with channel axis": lambda small, path: save(
        path / "fer2013.npz", {k: a[..., None] if k[0] == "x" else a for k, a in small.arrays().items()}
    ),
    "npz of int64": lambda small, path: save(
        path / "fer2013.npz", {k: a.astype(np.int64) for k, a in small.arrays().items()}
    ),
    "npz with other keys": lambda small, path: save(
        path / "fer2013.npz",
        {{"x": "images_", "y": "LABELS_"}[k[0]] + k[2:]: a for k, a in small.arrays().items()},
    ),
    "npz with keys the other way round": lambda small, path: save(
        path / "fer2013.npz",
        {f"{k[2:]}_{k[0].upper()}": a if k[0] == "x" else a[:, None] for k, a in small.arrays().items()},
    ),
    "csv in a gz": lambda small, path: packed(path / "fer2013.csv.gz", small.csv(path / "fer2013.csv")),
    "csv in a zip": lambda small, path: packed(path / "archive.zip", small.csv(path / "fer2013.csv")),
    "csv in a tar.gz": lambda small, path: packed(path / "fer2013.tar.gz", small.csv(path / "fer2013.csv")),
    "npz in a zip": lambda small, path: packed(path / "a.zip", save(path / "fer2013.npz", small.arrays())),
    "icml_face_data.csv in a zip of csvs": lambda small, path: packed(
        path / "archive.zip", small.icml(path / "icml_face_data.csv"), small.csv(path / "train.csv")
    ),
    "tar.gz in a zip": lambda small, path: packed(
        path / "archive.zip", packed(path / "fer2013.tar.gz", small.csv(path / "fer2013.csv"))
    ),
    "folder with the csv": lambda small, path: small.csv(path / "fer2013.csv").parent,
    "kaggle's folder of csvs": lambda small, path: [
        (path / "train.csv").write_text("emotion,pixels\n"),
        small.icml(path / "icml_face_data.csv").parent,
    ][1],
}
IN_FOLDERS: dict[str, Callable] = {
    "-ed and -ful": lambda small, path: small.folders(path / "f"),
    "plain names": lambda small, path: small.folders(path / "f", PLAIN),
    "capitals": lambda small, path: small.folders(path / "f", SHOUTED),
    "bmp": lambda small, path: small.folders(path / "f", suffix="bmp"),
    "a folder in the folder, beside a text": lambda small, path: [
        (path / "README.md").write_text("about"),
        small.folders(path / "archive").parent,
    ][1],
    "a folder in the folder": lambda small, path: small.folders(path / "f" / "archive").parent,
    "zip": lambda small, path: small.zip(path / "f.zip"),
    "zip with a folder": lambda small, path: small.zip(path / "f.zip", "archive/"),
    "folder with the zip": lambda small, path: small.zip(path / "f.zip").parent,
}


def packed(path: Path, *files: Path) -> Path:
    """Pack files into an archive of the type given by the suffix, each in a folder, and delete the originals."""
    if path.name.endswith(".csv.gz"):
        path.write_bytes(gzip.compress(files[0].read_bytes()))
    elif path.name.endswith(".tar.gz"):
        with tarfile.open(path, "w:gz") as tar:
            for file in files:
                tar.add(file, f"fer2013/{file.name}")
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, f"fer2013/{file.name}")
    for file in files:
        file.unlink()
    return path


def cut_end(path: Path) -> Path:
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    return path


def save(path: Path, arrays: dict[str, np.ndarray], how: Callable = np.savez) -> Path:
    how(path, **arrays)
    return path


@pytest.mark.parametrize("form", WITH_ORDER)
def test_layouts_that_preserve_the_order(form: str, small, tmp_path: Path) -> None:
    loaded = load_dataset(str(WITH_ORDER[form](small, tmp_path)), cache_dir=tmp_path / "cache")
    assert_same(loaded, small)
    assert loaded.notes == ()
    assert loaded.fingerprint == fingerprint(small.images, small.labels, small.splits)


@pytest.mark.parametrize("form", IN_FOLDERS)
def test_layouts_with_class_folders(form: str, small, tmp_path: Path) -> None:
    loaded = load_dataset(str(IN_FOLDERS[form](small, tmp_path)), cache_dir=tmp_path / "cache")
    assert_same(loaded, small.in_folders())
    assert loaded.notes == ()


def test_jpg_files_are_read(small, tmp_path: Path) -> None:
    loaded = read(small.folders(tmp_path / "f", suffix="jpg"))
    assert_same(loaded, small.in_folders(), atol=3)
    assert loaded.notes == ()


def test_files_of_operating_systems_are_ignored(small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "f")
    for name in (".DS_Store", "Thumbs.db", "train/angry/.im.png.swp", "train/angry/Thumbs.db", ".git/train/x/y.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"litter")
    (folder / "README.txt").write_text("about")
    assert_same(read(folder), small.in_folders())


def test_notes_and_lists_among_the_pictures_are_ignored(small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "f")
    for name in ("train/happy/notes.txt", "train/README.md", "test/sad/labels.CSV"):
        (folder / name).write_text("about these pictures")
    assert load_dataset(str(folder)).fingerprint == load_dataset(str(small.zip(tmp_path / "f.zip"))).fingerprint
    (folder / "train" / "happy" / "picture").write_bytes(b"not one")  # without a suffix it may be one
    with pytest.raises(UserError, match="train/happy/picture is cut short or not an image"):
        load_dataset(str(folder))


def test_files_of_operating_systems_in_zips_are_ignored(small, tmp_path: Path) -> None:
    file = small.zip(tmp_path / "f.zip")
    with zipfile.ZipFile(file, "a") as archive:
        for name in ("__MACOSX/train/angry/im000.png", "train/angry/._im000.png", "train/empty/"):
            archive.writestr(name, b"")
    assert_same(read(file), small.in_folders())


def test_links_to_folders_are_followed_once(small, tmp_path: Path) -> None:
    elsewhere, linked = small.folders(tmp_path / "elsewhere"), tmp_path / "linked"
    linked.mkdir()
    for name in ("train", "test"):
        (linked / name).symlink_to(elsewhere / name)
    (elsewhere / "train" / "loop").symlink_to(elsewhere / "train")
    assert_same(read(linked), small.in_folders())


def test_other_sizes_and_colours_are_converted_and_reported(small, tmp_path: Path, data_info) -> None:
    folder = small.folders(tmp_path / "f")
    expected = small.in_folders()
    row = int(np.flatnonzero((expected.labels == 0) & (expected.splits == 0))[0])
    first, second = sorted((folder / "train" / "angry").iterdir())[:2]
    grey = Image.fromarray(expected.images[row])
    grey.resize((96, 96), Image.Resampling.NEAREST).save(first)
    Image.fromarray(expected.images[row + 1]).convert("RGB").save(second)
    loaded = read(folder)
    assert_same(loaded, expected, atol=2)
    assert loaded.notes == (
        "1 of 42 images resized to 48x48 (from 96x96)",
        "1 of 42 images converted to 8-bit grey (from RGB)",
    )
    code, out, _ = data_info(folder)
    assert code == 0
    assert all(note in " ".join(out.split()) for note in loaded.notes)


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "CMYK"])
def test_image_modes_are_converted_to_grey(mode: str, small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "f")
    file = sorted((folder / "train" / "angry").iterdir())[0]
    Image.new("RGB", (48, 48), (255, 0, 0)).convert(mode).save(file, "TIFF" if mode == "CMYK" else "PNG")
    grey = read(folder).images[0]
    assert np.ptp(grey) == 0
    assert abs(int(grey[0, 0]) - 76) <= 1  # 0.299 of red


def test_16_bit_images_are_scaled_to_8_bits(small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "f")
    file = sorted((folder / "train" / "angry").iterdir())[0]
    Image.fromarray(np.full((48, 48), 0x8040, np.uint16)).save(file)
    np.testing.assert_array_equal(read(folder).images[0], 0x80)


def test_rgb_arrays_of_another_size_are_converted(small, tmp_path: Path) -> None:
    def enlarge(x: np.ndarray) -> np.ndarray:
        return np.repeat(np.repeat(np.repeat(x, 2, axis=1), 2, axis=2)[..., None], 3, axis=3)

    arrays = {k: enlarge(a) if k[0] == "x" else a for k, a in small.arrays().items()}
    loaded = read(save(tmp_path / "rgb.npz", arrays), DataOptions(image_size=48))
    assert_same(loaded, small, atol=2)
    assert loaded.notes == (
        "42 of 42 images resized to 48x48 (from 96x96)",
        "42 of 42 images converted to 8-bit grey (from RGB)",
    )


def test_an_npz_with_a_single_test_split_is_read(small, tmp_path: Path) -> None:
    test, train = small.splits > 0, small.splits == 0
    arrays = {"x_train": small.images[train], "y_train": small.labels[train]}
    loaded = read(save(tmp_path / "a.npz", arrays | {"x_test": small.images[test], "y_test": small.labels[test]}))
    np.testing.assert_array_equal(loaded.images, small.images)
    np.testing.assert_array_equal(loaded.splits, np.where(test, 3, 0))


@given(
    seed=st.integers(0, 1000),
    odd=st.lists(st.tuples(st.integers(0, 2302), st.sampled_from(["  ", "\t", " \t "])), max_size=3),
    chunk=st.integers(100, 20_000),
)
@settings(max_examples=25, deadline=None)
def test_csv_pixels_are_read_exactly(small, tmp_path_factory, seed: int, odd: list, chunk: int) -> None:
    """For any white space and any chunk boundaries in the file."""
    pixels = np.random.default_rng(seed).integers(0, 256, 2304)
    between = [" "] * 2303 + [""]
    for place, space in odd:
        between[place] = space
    rows = small.rows()
    rows[2] = f"3,{''.join(str(p) + b for p, b in zip(pixels, between, strict=True))},Training"
    path = small.csv(tmp_path_factory.mktemp("csv") / "x.csv", rows=rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "CHUNK", chunk)
        loaded = table.read_csv(path)
    np.testing.assert_array_equal(loaded.images[2].ravel(), pixels)
    np.testing.assert_array_equal(np.delete(loaded.images, 2, 0), np.delete(small.images, 2, 0))


def test_fer2013_is_recognised_by_its_content(fer2013_npz: Path, small, tmp_path: Path) -> None:
    real = load_dataset(str(fer2013_npz))
    assert (real.name, real.images.shape) == ("FER2013 (npz)", (35_887, 48, 48))
    with np.load(fer2013_npz) as file:
        arrays = dict(file)
    arrays["y_train"] = np.roll(arrays["y_train"], 1)  # same class counts: still recognised by them
    arrays["y_train"][0] = (arrays["y_train"][0] + 1) % 7
    assert load_dataset(str(save(tmp_path / "x.npz", arrays)), cache_dir=tmp_path).name == "35,887 faces (npz)"
