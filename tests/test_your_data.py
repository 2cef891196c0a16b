"""Runs every command of the README's "your data" table on small generated files of each kind."""

import io
import json
import re
import shlex
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_search import cli
from fer_search.search import run as run_module

README = Path(__file__).resolve().parents[1] / "README.md"
NAMES = ("angry", "happy", "sad")
FER2013 = {"angry": 0, "happy": 3, "sad": 4}


def commands():
    table = README.read_text().partition("| your data |")[2].partition("\n\n")[0]
    options = [c for row in table.splitlines() for c in re.findall(r"`(--data [^`]+)`", row)]
    assert len(options) >= 20
    return options


def face(number, size=48):
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(30, 220, (6, 6, 3)).astype(np.uint8))
    return coarse.resize((size, size), Image.Resampling.BICUBIC)


def png(number):
    buffer = io.BytesIO()
    face(number).save(buffer, "PNG")
    return buffer.getvalue()


def pictures():
    """Return class folders with three splits as a mapping from path to content."""
    sizes = {"train": 10, "val": 4, "test": 4}
    parts = [(part, name, k) for part, each in sizes.items() for name in NAMES for k in range(each)]
    return {f"{part}/{name}/{k}.png": png(number) for number, (part, name, k) in enumerate(parts)}


def write(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def arrays(numbers):
    images = np.stack([np.asarray(face(k).convert("L")) for k in range(60)])
    labels = np.array([numbers[k % len(numbers)] for k in range(60)])
    return {"x_train": images[:40], "y_train": labels[:40], "x_test": images[40:], "y_test": labels[40:]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with all kinds of data that the table lists."""
    import h5py
    import pyarrow
    from pyarrow import parquet

    root = tmp_path_factory.mktemp("data")
    write(root / "faces", pictures())
    with zipfile.ZipFile(root / "faces.zip", "w") as archive, tarfile.open(root / "faces.tar.gz", "w:gz") as tar:
        for name, content in pictures().items():
            archive.writestr(name, content)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    write(root / "mine", {f"{name}/{k}.png": png(k) for k, name in enumerate(("bored", "focused") * 20)})
    write(root / "ck", {f"{name}/S{k // 4:03d}_{k}.png": png(k) for k, name in enumerate(("happy", "sad") * 20)})
    parts = ("train", "train", "test") * 28
    write(root / "rafdb", {f"{part}/{1 + k % 7}/{k}.png": png(k) for k, part in enumerate(parts)})
    write(root / "jaffe", {f"P{k % 5}.{'AN' if k % 2 else 'HA'}{k}.tiff": png(k) for k in range(40)})
    for path in (root / "jaffe").iterdir():  # JAFFE names people by two letters
        path.rename(path.with_name("ABCDE"[int(path.name[1])] * 2 + path.name[2:]))
    for part, first in (("Train", 0), ("Valid", 20), ("Test", 30)):
        rows = range(first, first + (20 if part == "Train" else 10))
        write(root / "ferplus" / f"FER2013{part}", {f"{k}.png": png(k) for k in rows})
        votes = ("0,9,0,0,0,0,0,0,0,0", "9,0,0,0,0,0,0,0,0,0")
        lines = "".join(f'{k}.png,"(0, 0, 48, 48)",{votes[k % 2]}\n' for k in rows)
        (root / "ferplus" / f"FER2013{part}" / "label.csv").write_text(lines)
    fer2013 = arrays(list(FER2013.values()))
    np.savez(root / "faces.npz", **fer2013)
    np.savez(root / "affectnet.npz", **arrays(range(8)))
    (root / "npy").mkdir()
    with h5py.File(root / "faces.h5", "w") as file:
        for name, array in fer2013.items():
            np.save(root / "npy" / f"{name}.npy", array)
            file[name] = array
    (root / "kaggle").mkdir()
    rows = {}
    for part, usage in (("train", "Training"), ("test", "PublicTest")):
        pairs = zip(fer2013[f"x_{part}"], fer2013[f"y_{part}"], strict=True)
        rows[part] = [f"{label};{' '.join(map(str, image.ravel()))};{usage}" for image, label in pairs]
        text = "\n".join(["emotion,pixels", *(row.rpartition(";")[0].replace(";", ",") for row in rows[part])])
        (root / "kaggle" / f"{part}.csv").write_text(text + "\n")
    (root / "fer2013.csv").write_text("\n".join(["emotion;pixels;Usage", *rows["train"], *rows["test"]]) + "\n")
    (root / "parquet").mkdir()
    for part in ("train", "test"):
        column = [{"bytes": png(k), "path": None} for k in range(30)]
        table = pyarrow.table({"image": column, "label": [k % 2 for k in range(30)]})
        features = {"label": {"names": ["happy", "sad"], "_type": "ClassLabel"}}
        metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
        file = root / "parquet" / f"{part}-00000-of-00001.parquet"
        parquet.write_table(table.replace_schema_metadata(metadata), file)
    (root / "list.txt").write_text("".join(f"faces/{name} {name.split('/')[1]}\n" for name in pictures()))
    return root


@pytest.mark.parametrize("command", commands())
def test_each_command_of_the_table_reads_data(command, folder, monkeypatch, capsys, tiny_space):
    seen = []

    def load(settings, reporter):
        seen.append(run_module.load_data(settings))
        return 0

    monkeypatch.setattr(run_module, "run_search", load)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["fer-search", "run", "--space", str(tiny_space), *shlex.split(command)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code, capsys.readouterr().err
    ((dataset, split),) = seen
    assert len(dataset.classes) >= 2
    assert len(split.train) > 0
    assert len(split.validation) > 0
    assert len(dataset.rows("public_test", "private_test", "test")) > 0
    assert not set(split.train) & set(split.validation)
    if "--colour" in command:
        assert dataset.images.shape[1:] == (64, 64, 3)
    if "--map angry" in command:
        assert dataset.classes == ("negative", "positive")
