"""All common containers and csv dialects give the same images, labels and splits."""

from __future__ import annotations

import codecs
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_search.data.dataset import SPLITS
from fer_search.data.load import load_dataset
from fer_search.data.options import DataOptions
from fer_search.errors import UserError

NAMES = ("angry", "happy", "sad")
NUMBERS = {"angry": 0, "happy": 3, "sad": 4}  # FER2013 labels


def faces(count: int = 24, size: int = 48, seed: int = 0) -> tuple[np.ndarray, list[str], list[str]]:
    """Return smooth images, class names and splits: 12 for training, 6 for validation and 6 for testing."""
    rng = np.random.default_rng(seed)
    slopes = rng.uniform(-2, 2, (2, count, 1)) * 48 / size
    across = (np.arange(size) - size / 2) * slopes
    images = np.clip(128 + across[0][:, None, :] + across[1][:, :, None], 0, 255).astype(np.uint8)
    splits = ["train"] * (count // 2) + ["val"] * (count // 4) + ["test"] * (count // 4)
    return images, [NAMES[k % 3] for k in range(count)], splits


IMAGES, LABELS, PARTS = faces()


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def pictures() -> dict[str, bytes]:
    rows = zip(IMAGES, LABELS, PARTS, strict=True)
    return {f"{part}/{label}/{k:02d}.png": png(image) for k, (image, label, part) in enumerate(rows)}


def csv_rows(usage: bool = True) -> list[list[str]]:
    rows = [["emotion", "pixels", *(["Usage"] if usage else [])]]
    for image, label, part in zip(IMAGES, LABELS, PARTS, strict=True):
        rows.append([str(NUMBERS[label]), " ".join(map(str, image.ravel())), *([part] if usage else [])])
    return rows


def write_csv(path: Path, separator: str = ",", first: str = "", encoding: str = "utf-8") -> Path:
    text = first + "\n".join(separator.join(row) for row in csv_rows()) + "\n"
    path.write_bytes((codecs.BOM_UTF16_LE if encoding == "utf-16-le" else b"") + text.encode(encoding))
    return path


def write_tar(path: Path, mode: str) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in pictures().items():
            info = tarfile.TarInfo(f"./faces/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_zip_from_windows(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in pictures().items():
            info = zipfile.ZipInfo("x")
            info.filename = name.replace("/", "\\")  # the ZipInfo constructor would replace backslashes
            archive.writestr(info, content)
    return path


def arrays() -> dict[str, np.ndarray]:
    split_arrays = {}
    for part in ("train", "val", "test"):
        rows = [k for k, own in enumerate(PARTS) if own == part]
        split_arrays |= {f"x_{part}": IMAGES[rows], f"y_{part}": np.array([NUMBERS[LABELS[k]] for k in rows])}
    return split_arrays


def write_npz(path: Path, change=lambda name, array: array) -> Path:
    np.savez(path, **{name: change(name, array) for name, array in arrays().items()})
    return path


def write_npy(folder: Path) -> Path:
    folder.mkdir()
    for name, array in arrays().items():
        np.save(folder / f"{name}.npy", array)
    return folder


def write_hdf5(path: Path) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        for name, array in arrays().items():
            part = {"train": "Training", "val": "Validation", "test": "Test"}[name[2:]]
            file[f"{part}_{'pixel' if name[0] == 'x' else 'label'}"] = array
    return path


def write_parquet(folder: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    folder.mkdir()
    for part, file in (("train", "train"), ("val", "validation"), ("test", "test")):
        rows = [k for k, own in enumerate(PARTS) if own == part]
        table = pyarrow.table(
            {
                "image": [{"bytes": png(IMAGES[k]), "path": None} for k in rows],
                "label": [NAMES.index(LABELS[k]) for k in rows],
            }
        )
        features = {"label": {"names": list(NAMES), "_type": "ClassLabel"}}
        metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
        parquet.write_table(table.replace_schema_metadata(metadata), folder / f"{file}-00000-of-00001.parquet")
    return folder


def write_list(folder: Path, kind: str) -> Path:
    for name, content in pictures().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    flat = folder / "faces"
    flat.mkdir()
    lines = []
    for name in pictures():
        part, label, file = name.split("/")
        (folder / name).rename(flat / f"{part}_{file}")
        lines.append((f"faces/{part}_{file}", label))
    if kind == "txt":
        (folder / "list.txt").write_text("".join(f"{path} {label}\n" for path, label in lines))
        return folder / "list.txt"
    rows = "".join(f"{path};{label};{path.split('/')[1].split('_')[0]}\n" for path, label in lines)
    (folder / "list.csv").write_text("image;label;split\n" + rows)
    return folder / "list.csv"


def write_kaggle_pair(folder: Path) -> Path:
    folder.mkdir()
    header, *rows = csv_rows(usage=False)
    for part in ("train", "val", "test"):
        own = [",".join(row) for row, given in zip(rows, PARTS, strict=True) if given == part]
        (folder / f"{part}.csv").write_text("\n".join([",".join(header), *own]) + "\n")
    return folder


FORMS = {
    "tar": lambda path: write_tar(path / "faces.tar", "w"),
    "tar.gz": lambda path: write_tar(path / "faces.tar.gz", "w:gz"),
    "zip with backslashes": lambda path: write_zip_from_windows(path / "faces.zip"),
    "csv": lambda path: write_csv(path / "faces.csv"),
    "csv with ;": lambda path: write_csv(path / "faces.csv", ";"),
    "csv with tabs": lambda path: write_csv(path / "faces.csv", "\t"),
    "csv with sep=": lambda path: write_csv(path / "faces.csv", ";", "sep=;\n"),
    "csv in UTF-16": lambda path: write_csv(path / "faces.csv", encoding="utf-16-le"),
    "train.csv, val.csv and test.csv": lambda path: write_kaggle_pair(path / "kaggle"),
    "npz": lambda path: write_npz(path / "faces.npz"),
    "npz of fractions": lambda path: write_npz(path / "f.npz", lambda n, a: a / 255 if n[0] == "x" else a),
    "npz with one-hot labels": lambda path: write_npz(path / "o.npz", lambda n, a: a if n[0] == "x" else np.eye(7)[a]),
    "npz with names": lambda path: write_npz(
        path / "n.npz", lambda n, a: a if n[0] == "x" else np.array([{v: k for k, v in NUMBERS.items()}[i] for i in a])
    ),
    "npy": lambda path: write_npy(path / "npy"),
    "hdf5": lambda path: write_hdf5(path / "data.h5"),
    "parquet": lambda path: write_parquet(path / "parquet"),
    "list": lambda path: write_list(path, "txt"),
    "csv of paths": lambda path: write_list(path, "csv"),
}


def sorted_images(dataset) -> list[tuple[str, str, bytes]]:
    """Return split, class and pixels of each image, sorted because class folders do not preserve the order."""
    return sorted(
        (SPLITS[split], dataset.classes[label], image.tobytes())
        for image, label, split in zip(dataset.images, dataset.labels, dataset.splits, strict=True)
    )


@pytest.mark.parametrize("form", FORMS)
def test_all_containers_give_the_same_data(form: str, tmp_path: Path) -> None:
    source = FORMS[form](tmp_path)
    dataset = load_dataset(str(source), cache_dir=tmp_path / "cache")
    expected = {"train": "train", "val": "validation", "test": "test"}
    assert dataset.classes == NAMES
    assert sorted_images(dataset) == sorted(
        (expected[part], label, image.tobytes()) for image, label, part in zip(IMAGES, LABELS, PARTS, strict=True)
    )
    again = load_dataset(str(source), cache_dir=tmp_path / "cache")
    assert (again.fingerprint, again.classes, again.notes) == (dataset.fingerprint, dataset.classes, dataset.notes)


def test_ferplus_folders_are_read(tmp_path: Path) -> None:
    votes = {"angry": "0,0,0,0,8,1,0,0,1,0", "happy": "1,9,0,0,0,0,0,0,0,0", "sad": "2,0,0,8,0,0,0,0,0,0"}
    for folder, part in (("FER2013Train", "train"), ("FER2013Valid", "val"), ("FER2013Test", "test")):
        (tmp_path / folder).mkdir()
        lines = []
        for k, (image, label, own) in enumerate(zip(IMAGES, LABELS, PARTS, strict=True)):
            if own == part:
                (tmp_path / folder / f"fer{k:07}.png").write_bytes(png(image))
                lines.append(f'fer{k:07}.png,"(0, 0, 48, 48)",{votes[label]}\n')
        (tmp_path / folder / "label.csv").write_text("".join(lines))
    (tmp_path / "FER2013Train" / "unclear.png").write_bytes(png(IMAGES[0]))
    with (tmp_path / "FER2013Train" / "label.csv").open("a") as file:
        file.write('unclear.png,"(0, 0, 48, 48)",4,4,0,0,0,0,0,0,2,0\n')
    dataset = load_dataset(str(tmp_path), cache_dir=tmp_path / "cache")
    assert dataset.classes == NAMES
    assert [len(dataset.rows(split)) for split in ("train", "validation", "test")] == [12, 6, 6]
    assert "1 images without a clear one are left out" in dataset.notes[-1]


def test_kaggles_unlabelled_test_csv_is_not_used(tmp_path: Path) -> None:
    folder = write_kaggle_pair(tmp_path / "kaggle")
    (folder / "test.csv").write_text("pixels\n" + " ".join(["0"] * 2304) + "\n")
    dataset = load_dataset(str(folder), cache_dir=tmp_path / "cache")
    assert "test.csv has no labels and is not used" in dataset.notes
    assert len(dataset.labels) == 18


@pytest.mark.parametrize("name", ["fer2013.csv", "data.zip", "train.parquet"])
def test_a_git_lfs_pointer_is_reported_as_one(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    with pytest.raises(UserError, match="is a Git LFS pointer, not the data; run `git lfs pull`"):
        load_dataset(str(tmp_path / name), cache_dir=tmp_path / "cache")


def test_image_size_and_colour_can_be_set(tmp_path: Path) -> None:
    source = str(write_tar(tmp_path / "faces.tar", "w"))
    dataset = load_dataset(source, cache_dir=tmp_path / "cache", options=DataOptions(image_size=64, colour=True))
    assert dataset.images.shape == (24, 64, 64, 3)
    assert dataset.spec.input_shape == (64, 64, 3)
    assert "24 of 24 images resized to 64x64 (from 48x48)" in dataset.notes
    grey = load_dataset(source, cache_dir=tmp_path / "cache")
    assert grey.images.shape == (24, 48, 48)
    assert grey.fingerprint != dataset.fingerprint
