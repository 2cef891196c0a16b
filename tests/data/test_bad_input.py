"""Bad input gives a clear one-line error and exit code 2."""

from __future__ import annotations

import gzip
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fer_search.data.load import load_dataset
from fer_search.errors import UserError

Case = Callable[..., Path]  # writes the bad input and returns the command's argument
Change = Callable[[list[str]], list[str]]


def changed_row(row: int, change: Change) -> Case:
    """Write fer2013.csv with one row (numbered from 1) changed."""

    def write(small, path: Path) -> Path:
        rows = small.rows()
        rows[row - 1] = ",".join(change(rows[row - 1].split(",")))
        return small.csv(path / "fer2013.csv", rows=rows)

    return write


def pixels(change: Change) -> Change:
    return lambda fields: [fields[0], " ".join(change(fields[1].split())), fields[2]]


def changed_arrays(**change: Callable[[np.ndarray], np.ndarray | None]) -> Case:
    """Write fer2013.npz with arrays changed, or omitted where the change returns None."""

    def write(small, path: Path) -> Path:
        arrays = small.arrays()
        arrays |= {name: how(arrays[name].astype(np.int64)) for name, how in change.items()}
        np.savez(path / "fer2013.npz", **{name: a for name, a in arrays.items() if a is not None})
        return path / "fer2013.npz"

    return write


def changed_file(name: str, change: Callable[[bytes], bytes]) -> Case:
    """Write class folders with one file changed or added."""

    def write(small, path: Path) -> Path:
        file = small.folders(path / "faces") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(change(file.read_bytes() if file.exists() else b""))
        return path / "faces"

    return write


def text(name: str, content: str | bytes) -> Case:
    def write(small, path: Path) -> Path:
        (path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return path / name

    return write


def zipped(**more: bytes) -> Case:
    def write(small, path: Path) -> Path:
        with zipfile.ZipFile(small.zip(path / "faces.zip"), "a") as archive:
            for name, content in more.items():
                archive.writestr(name, content)
        return path / "faces.zip"

    return write


def cut(write: Case, keep: float) -> Case:
    """Truncate the file that ``write`` writes to a fraction of its size."""

    def write_cut(small, path: Path) -> Path:
        os.truncate(file := write(small, path), int(file.stat().st_size * keep))
        return file

    return write_cut


def corrupted_zip(small, path: Path) -> Path:
    content = (file := small.zip(path / "faces.zip")).read_bytes()
    file.write_bytes(content[:60] + bytes([content[60] ^ 0xFF]) + content[61:])  # a byte of the first image
    return file


def encrypted(small, path: Path) -> Path:
    content = bytearray((file := small.zip(path / "faces.zip")).read_bytes())
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):  # central directory and local headers
        for match in re.finditer(re.escape(mark), bytes(content)):
            content[match.start() + flags] |= 1
    file.write_bytes(content)
    return file


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def gzipped(small, path: Path) -> Path:
    (path / "fer2013.csv.gz").write_bytes(gzip.compress(small.csv(path / "fer2013.csv").read_bytes()))
    return path / "fer2013.csv.gz"


def tarred(small, path: Path, name: str = "fer2013/fer2013.csv") -> Path:
    with tarfile.open(path / "fer2013.tar.gz", "w:gz") as archive:
        archive.add(small.csv(path / "fer2013.csv"), name)
    return path / "fer2013.tar.gz"


def without_train_of(label: int) -> Case:
    def write(small, path: Path) -> Path:
        rows = [row for row in small.rows() if not (row.startswith(f"{label},") and row.endswith("Training"))]
        return small.csv(path / "fer2013.csv", rows=rows)

    return write


def swapped_splits(small, path: Path) -> Path:
    folder = small.folders(path / "faces")
    for name in sorted((folder / "test").glob("*/*"))[8:]:
        name.unlink()  # keep 8 test images for 21 training images, then swap them
    (folder / "train").rename(folder / "t")
    (folder / "test").rename(folder / "train")
    (folder / "t").rename(folder / "test")
    return folder


def only(part: str) -> Case:
    def write(small, path: Path) -> Path:
        names = {name: content for name, content in small.pictures().items() if name.startswith(part)}
        for name, content in names.items():
            (path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
            (path / "faces" / name).write_bytes(content)
        return path / "faces"

    return write


def two_files(small, path: Path) -> Path:
    small.csv(path / "a.csv")
    return small.csv(path / "b.csv").parent


def broken_link(small, path: Path) -> Path:
    folder = small.folders(path / "faces")
    (folder / "train" / "angry" / "gone.png").symlink_to(path / "nowhere.png")
    return folder


CASES: dict[str, tuple[Case, tuple[str, ...]]] = {
    "missing path": (lambda small, path: path / "no" / "such", ("no/such: no such file or folder", "--data")),
    "empty folder": (
        lambda small, path: [(path / "nothing").mkdir(), path / "nothing"][1],
        ("nothing is empty", "fer-search data download"),
    ),
    "folder of something else": (
        lambda small, path: text("notes.txt", "hello")(small, path).parent,
        ("holds neither train/ and test/ nor",),
    ),
    "several files": (two_files, ("a.csv, b.csv", "--data")),
    "unknown class folder": (changed_file("train/bored/x.png", bytes), ("train/bored: 'bored' is not a known",)),
    "picture in no class folder": (changed_file("train/x.png", bytes), ("train/ holds pictures",)),
    "not an image": (changed_file("train/angry/x.png", lambda old: b"hello"), ("train/angry/x.png", "not an image")),
    "not an image by its name": (
        changed_file("test/happy/list.dat", lambda old: b"1, 2"),
        ("test/happy/list.dat", "not an image"),
    ),
    "empty picture": (changed_file("train/sad/x.jpg", lambda old: b""), ("train/sad/x.jpg", "not an image")),
    "link to nowhere": (broken_link, ("gone.png cannot be read",)),
    "only test": (only("test"), ("no training images", "train")),
    "train and test exchanged": (swapped_splits, ("8 training and 21 test images", "exchanged")),
    "class without images": (without_train_of(1), ("no training image of disgust",)),
    "csv: too few pixels": (
        changed_row(17, pixels(lambda p: p[:-1])),
        ("fer2013.csv, row 17: 2,303 pixels instead of 2,304",),
    ),
    "csv: too many pixels": (changed_row(40, pixels(lambda p: [*p, "1"])), ("row 40: 2,305 pixels instead of 2,304",)),
    "csv: no pixels": (changed_row(3, pixels(lambda p: [])), ("row 3: 0 pixels instead of 2,304",)),
    "csv: above 255": (changed_row(5, pixels(lambda p: [*p[:9], "256", *p[10:]])), ("row 5: pixel '256'", "0 to 255")),
    "csv: far above 255": (changed_row(5, pixels(lambda p: ["9" * 5000, *p[1:]])), ("row 5: pixel '99", "0 to 255")),
    "csv: four digits": (changed_row(5, pixels(lambda p: [*p[1:], "1000"])), ("row 5: pixel '1000'", "0 to 255")),
    "csv: below 0": (changed_row(6, pixels(lambda p: ["-1", *p[1:]])), ("row 6: pixel '-1' is not from 0 to 255",)),
    "csv: a fraction": (changed_row(7, pixels(lambda p: [*p[1:], "0.5"])), ("row 7: pixel '0.5'",)),
    "csv: a missing number": (changed_row(8, lambda f: [f[0], f[1].replace(" ", "  ", 1)[:-4], f[2]]), ("row 8: ",)),
    "csv: label 7": (changed_row(9, lambda f: ["7", *f[1:]]), ("row 9: emotion '7' is not from 0 to 6",)),
    "csv: label -1": (changed_row(9, lambda f: ["-1", *f[1:]]), ("row 9: emotion '-1' is not from 0 to 6",)),
    "csv: label in words": (changed_row(9, lambda f: ["sad", *f[1:]]), ("row 9: emotion 'sad'",)),
    "csv: usage": (changed_row(30, lambda f: [*f[:2], "Holdout"]), ("row 30: Usage 'holdout'", "PublicTest")),
    "csv: row cut short": (changed_row(42, lambda f: f[:2]), ("row 42: 2 columns instead of 3",)),
    "csv: no header": (text("fer2013.csv", "0,1 2 3,Training\n"), ("no column 'emotion'",)),
    "csv: empty file": (text("fer2013.csv", ""), ("no column 'emotion'",)),
    "csv: only the header": (text("fer2013.csv", "emotion,pixels,Usage\n"), ("no images found",)),
    "another file": (text("faces.bin", b"\x00\x01\x02"), ("faces.bin is neither fer2013.csv, nor",)),
    "zip: climbs out": (zipped(**{"../train/angry/x.png": b""}), ("'../train/angry/x.png' climbs out of the zip",)),
    "zip: climbs out with \\": (zipped(**{"a\\..\\..\\x.png": b""}), ("climbs out of the zip",)),
    "zip: from the root": (zipped(**{"/etc/x.png": b""}), ("'/etc/x.png' climbs out of the zip",)),
    "zip: cut short": (cut(zipped(), 0.6), ("faces.zip is not a whole .zip file",)),
    "zip: spoilt": (corrupted_zip, ("faces.zip is not a whole zip file", "CRC")),
    "zip: not an image": (zipped(**{"train/angry/x.png": b"hello"}), ("faces.zip/train/angry/x.png", "not an image")),
    "zip: unknown class folder": (zipped(**{"train/bored/x.png": b""}), ("class folder train/bored: 'bored' is not",)),
    "zip: something else": (
        lambda small, path: write_zip(path / "x.zip", {"notes.txt": b"hello"}),
        ("x.zip: no class folders", "unpack it"),
    ),
    "zip: several csv files": (
        lambda small, path: write_zip(path / "x.zip", {"a.csv": b"emotion", "b.csv": b"emotion"}),
        ("x.zip: no class folders", "unpack it"),
    ),
    "zip: a wrong csv": (
        lambda small, path: write_zip(path / "x.zip", {"fer2013.csv": b"emotion\n"}),
        ("x.zip/fer2013.csv: no column 'pixels'",),
    ),
    "zip: a wrong npz": (
        lambda small, path: write_zip(path / "x.zip", {"a.npz": b"hello"}),
        ("x.zip/a.npz is not a whole .npz file",),
    ),
    "gz: cut short": (cut(gzipped, 0.6), ("fer2013.csv.gz is not a whole .gz file",)),
    "gz: no gz": (text("fer2013.csv.gz", "hello"), ("fer2013.csv.gz is not a whole .gz file",)),
    "gz: of something else": (text("x.gz", gzip.compress(b"hello\n")), ("x.gz: no column 'emotion'",)),
    "tar.gz: cut short": (cut(tarred, 0.6), ("fer2013.tar.gz", "is not a whole .gz file")),
    "tar.gz: without a csv": (
        lambda small, path: tarred(small, path, "fer2013/readme.txt"),
        ("fer2013.tar.gz: no fer2013.csv or icml_face_data.csv in it",),
    ),
    "zip: encrypted": (encrypted, ("faces.zip cannot be read", "unpack it")),
    "zip: no zip": (text("faces.zip", "hello"), ("faces.zip is not a whole .zip file",)),
    "npz: cut short": (cut(changed_arrays(), 0.6), ("fer2013.npz is not a whole .npz file",)),
    "npz: label 7": (changed_arrays(y_train=lambda y: y + (np.arange(21) == 4) * 9), ("y_train, image 4", "0 to 6")),
    "npz: label -1": (changed_arrays(y_public=lambda y: y - 7), ("y_public, image 0", "0 to 6")),
    "npz: labels as fractions": (changed_arrays(y_train=lambda y: y / 2), ("y_train must be whole numbers",)),
    "npz: pixel 256": (
        changed_arrays(x_private=lambda x: np.where(np.arange(7)[:, None, None] == 2, 256, x)),
        ("x_private, image 2", "0 to 255"),
    ),
    "npz: pixel -1": (changed_arrays(x_train=lambda x: x - (np.arange(21) == 20)[:, None, None] * 999), ("image 20",)),
    "npz: fractions": (changed_arrays(x_train=lambda x: x / 255 - 0.5), ("x_train, image", "nor from 0 to 1")),
    "npz: flat images": (changed_arrays(x_train=lambda x: x.reshape(21, -1)), ("x_train must be", "(21, 2304)")),
    "npz: too few labels": (changed_arrays(y_train=lambda y: y[1:]), ("y_train must have one label", "(20,)")),
    "npz: no labels": (changed_arrays(y_private=lambda y: None), ("x_private has no labels with it", "y_private")),
    "npz: no training images": (
        changed_arrays(x_train=lambda x: None, y_train=lambda y: None),
        ("no training images", "x_train"),
    ),
    "npz: of objects": (
        changed_arrays(x_train=lambda x: np.array([{}, None], object)),
        ("fer2013.npz is not a whole .npz file of numbers",),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gives_a_one_line_error_and_exit_code_2(case: str, small, tmp_path: Path, data_info) -> None:
    write, expected = CASES[case]
    path = write(small, tmp_path)
    code, out, err = data_info(path)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("fer-search: ")
    for part in expected:
        assert part in err


def test_an_implausibly_large_image_is_named(small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "f")
    content = bytearray(next(iter(small.pictures().values())))
    content[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (folder / "train" / "angry" / "bomb.png").write_bytes(content)
    with pytest.raises(UserError, match=r"bomb\.png has 60,000 x 60,000 pixels, more than 64,000,000"):
        load_dataset(str(folder))
