"""Fuzzing of run folders, data sets and space files: a command succeeds or ends with a one-line error.

The suite runs a few examples; in the soak the tests take ten minutes in total (``FER_SEARCH_FUZZ_SECONDS``).
"""

import contextlib
import gzip
import io
import json
import os
import resource
import shutil
import time
import zipfile
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_search.data import limits
from fer_search.data.load import load_dataset
from fer_search.errors import UserError
from fer_search.report import load_epochs, to_csv, to_markdown
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.json_files import with_checksum
from fer_search.runs.doctor import find_problems, repair
from fer_search.runs.status import read_status, status_lines
from fer_search.space import load_space
from fer_search.terminal import UNPRINTABLE, printable

SECONDS = float(os.environ.get("FER_SEARCH_FUZZ_SECONDS", "150" if os.environ.get("FER_SEARCH_SOAK") else "4"))
FUZZ = settings(
    max_examples=200 if SECONDS > 60 else 40,
    deadline=timedelta(seconds=120),
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=SECONDS < 60,
)
MAX_GROWTH = 300 * 1024  # KiB by which all examples of a test together may increase memory use

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["0000", "../x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def run_until_timeout(fuzz):
    """Repeat a fuzz test with new examples until its time is up; once in the suite."""
    end = time.monotonic() + SECONDS
    fuzz()
    while SECONDS > 60 and time.monotonic() < end:
        fuzz()


@contextlib.contextmanager
def only_one_line_errors():
    """Accept a UserError with a one-line printable message; any other exception is a bug."""
    try:
        yield
    except UserError as error:
        message = str(error)
        if "\n" in printable(message).replace("\\n", ""):
            raise AssertionError(f"more than one line: {message!r}") from error


@pytest.fixture
def bounded_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH


def mutate(value, path, replacement):
    """Return JSON content with the value at a path (a list of indices, taken modulo) replaced or removed."""
    if not path or not isinstance(value, (dict, list)) or not value:
        return replacement
    keys = sorted(value) if isinstance(value, dict) else range(len(value))
    key = list(keys)[path[0] % len(value)]
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and replacement == "remove":
        del copy[key]
    else:
        copy[key] = mutate(value[key], path[1:], replacement)
    return copy


FILES = ["run.json", "oracle.json", "trial_0001/trial.json", "trial_0001/design.json", "trial_0001/epochs.csv"]


@pytest.mark.usefixtures("bounded_memory")
def test_commands_survive_fuzzed_run_folders(search, tmp_path):
    """Replaces a field or some bytes; the checksum is updated, so that schema validation has to catch the change."""
    assert search(tmp_path / "original") == 0
    original = tmp_path / "original"

    @FUZZ
    @given(
        st.sampled_from(FILES),
        st.lists(st.integers(0, 50), min_size=1, max_size=6),
        json_values | st.just("remove"),
        st.binary(max_size=40),
        st.booleans(),
    )
    def fuzz(name, path, replacement, noise, structured):
        folder = tmp_path / "fuzzed"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(original, folder)
        run, file = folder / "tiny", folder / "tiny" / name
        if structured and name.endswith(".json"):
            content = json.loads(file.read_text())
            content.pop("checksum")
            changed = mutate(content, path, replacement)
            file.write_text(with_checksum(changed) if isinstance(changed, dict) else json.dumps(changed))
        else:
            content = file.read_bytes()
            position = sum(path) * 7 % len(content)
            file.write_bytes(content[:position] + noise + content[position + len(noise) // 2 :])
        for look in (lambda: status_lines(read_status(run)), lambda: to_markdown(run), lambda: to_csv(run)):
            with only_one_line_errors():
                look()
        with only_one_line_errors():
            load_epochs(run)
        with only_one_line_errors():
            repair(run, find_problems(run))
        with only_one_line_errors():
            search(folder)
        assert not RunFolder(run).in_use()

    run_until_timeout(fuzz)


def csv_text():
    cell = st.text(max_size=12) | st.integers(-5, 300).map(str) | st.just("0 " * 2303 + "0")
    rows = st.lists(st.lists(cell, min_size=1, max_size=4).map(",".join), max_size=6)
    header = st.sampled_from(["emotion,pixels,Usage", "label,pixels", "path,label", "emotion", ""]) | st.text(
        max_size=20
    )
    return st.tuples(header, rows).map(lambda parts: "\n".join([parts[0], *parts[1]]))


def npz_bytes(shapes, claims):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in shapes.items():
            array = io.BytesIO()
            np.save(array, np.zeros(shape, np.uint8))
            content = array.getvalue()
            archive.writestr(f"{name}.npy", content if claims is None else content.replace(b"(", claims, 1))
    return file.getvalue()


def zip_bytes(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            with contextlib.suppress(ValueError, IndexError):  # not a valid name in a zip file
                archive.writestr(name, content)
    return file.getvalue()


small = st.integers(0, 5)
shapes = st.lists(small, max_size=4).map(tuple)
data_files = st.one_of(
    csv_text().map(lambda text: ("fer2013.csv", text.encode("utf-8", "surrogatepass"))),
    csv_text().map(lambda text: ("fer2013.csv", text.encode("utf-16", "surrogatepass"))),
    csv_text().map(lambda text: ("fer2013.csv.gz", gzip.compress(text.encode("utf-8", "surrogatepass")))),
    st.binary(max_size=300).map(lambda content: ("fer2013.csv", content)),
    st.binary(max_size=300).map(lambda content: ("data.zip", b"PK\x03\x04" + content)),
    st.binary(max_size=300).map(lambda content: ("data.csv.gz", b"\x1f\x8b\x08" + content)),
    st.tuples(
        st.dictionaries(st.sampled_from(["x_train", "y_train", "x_test", "y_test", "images", "labels"]), shapes),
        st.none() | st.sampled_from([b"(999999999,", b"(-1,", b"((", b"("]),
    ).map(lambda parts: ("data.npz", npz_bytes(*parts))),
    st.dictionaries(
        st.sampled_from(["train/angry/a.png", "test/sad/b.jpg", "../c.png", "fer2013.csv", "/etc/x.png"])
        | st.text(max_size=9),
        st.binary(max_size=60),
        max_size=4,
    ).map(lambda members: ("data.zip", zip_bytes(members))),
)


@pytest.mark.usefixtures("bounded_memory")
def test_commands_survive_fuzzed_data_sets(tmp_path, monkeypatch):
    monkeypatch.setenv(limits.VARIABLE, "50MB")
    monkeypatch.setenv("FER_SEARCH_CACHE", str(tmp_path / "cache"))

    @FUZZ
    @given(data_files, st.integers(0, 400), st.booleans())
    def fuzz(file, cut, torn):
        name, content = file
        path = tmp_path / name
        path.write_bytes(content[:cut] if torn else content)
        with only_one_line_errors():
            load_dataset(str(path))

    run_until_timeout(fuzz)


STATEMENTS = [
    "hp.Float({name!a}, {a}, {b})",
    "hp.Int({name!a}, {i}, {j}, step={k})",
    "hp.Choice({name!a}, [{a}, {b}])",
    "hp.Choice({name!a}, [{i}, {text!a}])",
    "hp.Boolean({name!a})",
    "with hp.conditional_scope('x', [{i}]): hp.Boolean({name!a})",
    "raise {error}({text!a})",
    "import sys; sys.exit({i})",
    "print({text!a})",
    "return {a}",
    "{text}",
]
numbers = st.floats().map(lambda value: f"float({str(value)!r})")


@pytest.mark.usefixtures("bounded_memory")
def test_commands_survive_fuzzed_space_files(tmp_path, capsys):

    @FUZZ
    @given(
        st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4),
        st.text(max_size=10),
        st.text(max_size=10),
        numbers,
        numbers,
        st.lists(st.integers(), min_size=3, max_size=3),
        st.sampled_from(["ValueError", "KeyError", "BaseException", "SystemExit", "StopIteration", "MemoryError"]),
    )
    def fuzz(statements, name, text, a, b, whole, error):
        fields = {"name": name, "text": text, "a": a, "b": b, "error": error} | dict(zip("ijk", whole, strict=True))
        body = "".join(f"    {statement.format(**fields)}\n" for statement in statements)
        head = "from fer_search.design import Design\ndef design(hp):\n    hp.Choice('x', [1, 2])\n"
        source = f"{head}{body}    return Design()\n"
        path = tmp_path / "space.py"
        path.write_text(source, encoding="utf-8", errors="backslashreplace")
        with only_one_line_errors():
            space = load_space(path)
            assert not any(UNPRINTABLE.search(choice.name) for choice in space.choices().space)

    run_until_timeout(fuzz)
    assert capsys.readouterr().out == ""
