"""A small data set, and the file layouts in which users have FER2013."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_search.cli import main
from fer_search.data.raw import RawData

ED = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
USAGE = ("Training", "PublicTest", "PrivateTest")


@dataclass(frozen=True, eq=False)
class Small:
    """21 training, 14 public and 7 private test images, in the order of fer2013.csv, with writers for each layout.

    The images are smooth, so JPEG compression hardly changes them.
    """

    images: np.ndarray
    labels: np.ndarray
    splits: np.ndarray

    def in_folders(self) -> RawData:
        """Return the data as class folders preserve it: sorted by split and class, with the two test splits merged."""
        order = np.lexsort((np.arange(len(self.labels)), self.labels, self.splits > 0))
        splits = np.where(self.splits[order] == 0, 0, 3).astype(np.uint8)
        return RawData(self.images[order], self.labels[order], splits, "class folders")

    def pictures(self, names: tuple[str, ...] = ED, suffix: str = "png") -> dict[str, bytes]:
        """Return the image files as a mapping from path to content."""
        return {
            f"{'train' if split == 0 else 'test'}/{names[label]}/im{k:03d}.{suffix}": picture(image, suffix)
            for k, (image, label, split) in enumerate(zip(self.images, self.labels, self.splits, strict=True))
        }

    def folders(self, path: Path, names: tuple[str, ...] = ED, suffix: str = "png") -> Path:
        for name, content in self.pictures(names, suffix).items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return path

    def zip(self, path: Path, prefix: str = "") -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in self.pictures().items():
                archive.writestr(prefix + name, content)
        return path

    def rows(self) -> list[str]:
        """Return the rows of fer2013.csv."""
        every = zip(self.images, self.labels, self.splits, strict=True)
        return [f"{label},{' '.join(map(str, image.ravel()))},{USAGE[split]}" for image, label, split in every]

    def csv(self, path: Path, header: str = "emotion,pixels,Usage", rows: list[str] | None = None) -> Path:
        path.write_text("\n".join([header, *(self.rows() if rows is None else rows)]) + "\n")
        return path

    def icml(self, path: Path) -> Path:
        """Write icml_face_data.csv, which has a different column order and spaces in the header."""
        rows = [",".join((label, usage, pixels)) for label, pixels, usage in (row.split(",") for row in self.rows())]
        return self.csv(path, "emotion, Usage, pixels", rows)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of the .npz layout."""
        parts = {"train": 0, "public": 1, "private": 2}
        pairs = {"x": self.images, "y": self.labels}
        return {f"{n}_{part}": a[self.splits == k] for part, k in parts.items() for n, a in pairs.items()}


def picture(image: np.ndarray, suffix: str = "png") -> bytes:
    """Return an image encoded as a file."""
    buffer = io.BytesIO()
    quality = {"quality": 100} if suffix == "jpg" else {}
    Image.fromarray(image).save(buffer, "JPEG" if suffix == "jpg" else suffix, **quality)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def small() -> Small:
    rng = np.random.default_rng(1)
    labels = np.concatenate([rng.permutation(np.repeat(np.arange(7), times)) for times in (3, 2, 1)]).astype(np.uint8)
    splits = np.repeat([0, 1, 2], [21, 14, 7]).astype(np.uint8)
    slopes, start = rng.uniform(-2, 2, (2, 42, 1)), rng.uniform(100, 156, (42, 1, 1))
    across = (np.arange(48) - 24) * slopes
    images = start + across[0][:, None, :] + across[1][:, :, None]
    return Small(np.clip(images, 0, 255).astype(np.uint8), labels, splits)


@pytest.fixture
def ferplus_votes() -> Path:
    """Path of the real FER+ votes."""
    shared = Path(os.environ.get("FER_SEARCH_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    votes = shared / "data" / "ferplus.csv"
    if not votes.exists():
        pytest.skip("FER+ votes not available: no data/ferplus.csv in $FER_SEARCH_SHARED")
    return votes


@pytest.fixture
def data_info(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs ``fer-search data info`` and returns its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fer-search", "data", "info", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call
