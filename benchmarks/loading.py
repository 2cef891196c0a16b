"""Time and peak memory of loading the data set from csv, PNG folders and the cache, each in a fresh process.

    python benchmarks/loading.py --data fer2013.csv      # a minute, mostly for writing the other format
    python benchmarks/loading.py --data toy --notebook   # also as in most notebooks: a minute, 8 GB

Without FER2013 the toy faces are repeated to its 35,887 images. The files have just been written, so they are read from
the page cache and disk speed is not measured.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np
from PIL import Image

from fer_search.data.dataset import SPLITS, Dataset
from fer_search.data.load import load_dataset

FER2013_IMAGES = 35_887
USAGES = {"train": "Training", "public_test": "PublicTest", "private_test": "PrivateTest", "test": "PublicTest"}


def peak_memory() -> float:
    """Return the peak memory of this process in MB.

    On Linux it is read from /proc: ``getrusage`` includes the memory of the parent process before exec.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS


def notebook(path: str) -> Any:
    """Read the csv as most notebooks do."""
    import pandas as pd

    table = pd.read_csv(path)
    return np.array([np.array(pixels.split(" "), dtype="float32") for pixels in table["pixels"]])


def prepare(spec: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """Return a function that loads a source once and returns seconds, peak memory and the memory before loading."""
    before = peak_memory()

    def compute() -> dict[str, float]:
        if spec["notebook"]:
            seconds = common.timed(lambda: notebook(spec["path"]))
        else:
            seconds = common.timed(lambda: load_dataset(spec["path"], cache_dir=Path(spec["cache"])))
        return {"seconds": seconds, "peak": peak_memory(), "before": before}

    return compute


def write_forms(dataset: Dataset, count: int, folder: Path) -> tuple[Path, Path]:
    """Return a csv and class folders with ``count`` images of a data set, repeated if it has fewer.

    The data set's own source is used for its format; the other is written to ``folder``.
    """
    given, unchanged = Path(dataset.source), count == len(dataset.labels)
    rows = np.random.default_rng(0).permutation(len(dataset.labels))[:count]
    rows = np.resize(np.sort(rows), count)
    table = given if unchanged and given.suffix == ".csv" else write_csv(dataset, rows, folder / "faces.csv")
    return table, given if unchanged and given.is_dir() else write_pictures(dataset, rows, folder / "faces")


def write_csv(dataset: Dataset, rows: np.ndarray, path: Path) -> Path:
    """Write rows of a data set in fer2013.csv's form."""
    common.say(f"writing {len(rows):,} images as csv")
    with path.open("w", encoding="ascii") as file:
        file.write("emotion,pixels,Usage\n")
        for row in rows:
            pixels = " ".join(map(str, dataset.images[row].ravel().tolist()))
            file.write(f"{dataset.labels[row]},{pixels},{USAGES[SPLITS[dataset.splits[row]]]}\n")
    return path


def write_pictures(dataset: Dataset, rows: np.ndarray, folder: Path) -> Path:
    """Write rows of a data set as PNG files in class folders."""
    common.say(f"writing {len(rows):,} images as PNG files")
    for split in ("train", "test"):
        for name in dataset.classes:
            (folder / split / name).mkdir(parents=True)
    for number, row in enumerate(rows):
        split = "train" if dataset.splits[row] == 0 else "test"
        path = folder / split / dataset.classes[dataset.labels[row]] / f"{number:05d}.png"
        Image.fromarray(np.asarray(dataset.images[row])).save(path)
    return folder


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--data", default="auto", help="FER2013 in any form, or toy (default: auto)")
    parser.add_argument("--images", type=int, help="number of images (default: all; for toy faces as many as FER2013)")
    parser.add_argument("--rounds", type=int, help="fresh processes per format")
    parser.add_argument("--notebook", action="store_true", help="also read the csv as most notebooks do")
    options = parser.parse_args()
    if options.serve:
        spec = json.loads(options.serve)
        common.serve(lambda: prepare(spec))
        return
    began = time.perf_counter()
    rounds = options.rounds or (1 if options.quick else 3)
    answers: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        dataset = load_dataset(options.data)
        count = FER2013_IMAGES if dataset.toy else len(dataset.labels)
        count = options.images or (1000 if options.quick else count)
        table, pictures = write_forms(dataset, count, Path(temporary))
        for number in range(rounds):
            cache = Path(temporary, f"cache_{number}")
            arms = {"csv": table, "csv, cached": table, "PNG files": pictures, "PNG files, cached": pictures}
            arms |= {"csv, as most notebooks do": table} if options.notebook and not number else {}
            for name, path in arms.items():
                spec = {"path": str(path), "cache": str(cache), "notebook": "notebooks" in name, "backend": "jax"}
                worker = common.Worker(spec)
                answers.setdefault(name, []).append(worker.ask())
                worker.close()
            common.say(f"round {number + 1} of {rounds}")
        size = table.stat().st_size / 1e6
    shown = common.Table(
        f"Loading {count:,} images ({size:.0f} MB as csv), {rounds} fresh processes each",
        ["", "seconds", "peak memory, MB", "of which before loading, MB"],
    )
    for name, results in answers.items():
        parts = [[r[key] for r in results] for key in ("seconds", "peak", "before")]
        shown.rows.append([name, *(str(common.spread(values)) for values in parts)])
    shown.notes.append("A cached data set is memory-mapped, and read once to check its fingerprint: 83 MB for FER2013.")
    common.say(f"{time.perf_counter() - began:.0f} s in total")
    common.report(options, [shown], answers)


if __name__ == "__main__":
    main()
