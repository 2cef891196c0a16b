"""The benchmarks' arithmetic, and that each benchmark starts. Nothing is measured here."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_arms_are_interleaved_and_a_failing_arm_is_dropped(module, capsys):
    common, order = module("common"), []

    def arm(name, seconds, fails_in=99):
        def compute():
            order.append(name)
            if order.count(name) == fails_in:
                raise common.WorkerFailed("its memory is full")
            return next(seconds)

        return compute

    arms = {"a": arm("a", iter([1.0, 2.0, 3.0])), "b": arm("b", iter([4.0, 5.0, 6.0])), "c": arm("c", iter([7.0]), 2)}
    seconds_of = common.interleave(3, arms)
    assert order == list("abcabcab")
    assert seconds_of == {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}
    assert "LEFT OUT, c: its memory is full" in capsys.readouterr().err


def test_ratios_are_computed_within_a_round(module):
    common = module("common")
    slow_machine = [1.0, 2.0, 4.0]  # the machine slows down from round to round; the ratio is always 3
    assert common.ratios([3 * s for s in slow_machine], slow_machine) == (3.0, 3.0, 3.0)
    assert common.spread([5.0, 1.0, 2.0, 4.0]) == (3.0, 1.0, 5.0)
    with pytest.raises(ValueError, match="shorter"):
        common.ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("value", "text"),
    [(123456.0, "123,000"), (999.6, "1,000"), (431.26, "431"), (43.26, "43.3"), (2.2046, "2.20"), (0.01234, "0.0123")],
)
def test_numbers_have_three_digits(module, value, text):
    assert module("common").number(value) == text


@pytest.mark.slow
def test_a_worker_computes_on_request_and_reports_errors(module, tmp_path, monkeypatch):
    common = module("common")
    script = tmp_path / "script.py"
    script.write_text(
        "import json, os, sys\n"
        f"sys.path.insert(0, {str(FOLDER)!r})\n"
        "import common\n"
        "spec = json.loads(sys.argv[sys.argv.index('--serve') + 1])\n"
        "def prepare():\n"
        "    print('a library that prints')\n"
        "    if spec['arm'] == 'missing':\n"
        "        import no_such_library\n"
        "    rounds = iter([1.5, 2.5])\n"
        "    return lambda: {'seconds': next(rounds), 'backend': os.environ['KERAS_BACKEND']}\n"
        "common.serve(prepare)\n"
    )
    monkeypatch.setattr(sys, "argv", [str(script)])
    worker = common.Worker({"backend": "jax", "arm": "good"})
    try:
        assert worker() == 1.5
        assert worker.ask() == {"seconds": 2.5, "backend": "jax"}
        with pytest.raises(common.WorkerFailed, match=r"ended with 1: StopIteration"):
            worker()
    finally:
        worker.close()
    skipped = []
    assert common.start({"x": {"backend": "jax", "arm": "missing"}}, skipped) == {}
    assert skipped == ["x: no_such_library is not installed"]


def test_a_table_is_rendered_as_markdown(module):
    table = module("common").Table("Title", ["", "images/s"], [["ours", "1,000"], ["theirs", "9"]], ["A note."])
    lines = ["|        | images/s |", "| ------ | -------: |", "| ours   |    1,000 |", "| theirs |        9 |"]
    assert table.markdown() == "\n".join(["**Title**", "", *lines, "", "A note.", ""])


def test_a_paired_difference_has_a_students_t_interval(module):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 8))
    mean, low, high = module("parity").paired(a - b)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx(((a - b).mean(), *expected))


def test_only_the_measured_section_is_replaced(module, tmp_path, monkeypatch):
    run = module("run")
    page, record = tmp_path / "benchmarks.md", tmp_path / "benchmarks.json"
    parts = {"machines": "", "a": "old\n", "b": "kept\n"}
    page.write_text("".join(f"<!-- {name} -->\n{text}<!-- end of {name} -->\nprose\n" for name, text in parts.items()))
    monkeypatch.setattr(run, "DOCS", tmp_path)
    machine = {
        "processor": "P",
        "cores": 2,
        "memory_gib": 8.0,
        "device": "D",
        "system": "S",
        "versions": {"keras": "3"},
    }
    table = {"title": "T", "columns": ["", "s"], "rows": [["x", "1"]], "notes": []}
    result = {"tables": [table], "measured": "2000-01-01", "machine": machine}
    record.write_text(json.dumps({"b": result | {"measured": "1999-01-01"}}))
    run.write({"a": result})
    text = page.read_text()
    assert "- b: 1999-01-01, P, 2 cores" in text
    assert "- a: 2000-01-01, P, 2 cores" in text
    assert "old" not in text
    assert "| x | 1 |" in text
    assert "prose\n<!-- b -->\nkept\n<!-- end of b -->\nprose" in text
    assert set(json.loads(record.read_text())) == {"a", "b"}
    with pytest.raises(ValueError, match="no <!-- c -->"):
        run.replace_section(text, "c", "")


def test_the_page_has_a_section_for_each_benchmark_script(module):
    run, page = module("run"), (FOLDER.parent / "docs" / "benchmarks.md").read_text()
    for name in [*run.SUITE, *run.MORE]:
        run.replace_section(page, name, "text")
        assert (FOLDER / f"{name}.py").exists()


@pytest.mark.parametrize(
    "name",
    [
        "augmentation",
        "epoch",
        "fixed_cost",
        "loading",
        "parity",
        "peak",
        "run",
        "step",
        "hour",
        "families",
        "first_search",
        "equal_time",
    ],
)
def test_each_benchmark_parses_its_arguments(module, name, monkeypatch, capsys):
    benchmark = module(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        benchmark.main()
    assert ended.value.code == 0
    assert "--quick" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--no-such-option"])
    with pytest.raises(SystemExit) as ended:
        benchmark.main()
    assert ended.value.code == 2


def test_both_formats_of_the_loading_benchmark_contain_the_data_set(module, faces, tmp_path):
    from fer_search.data.load import read

    table, pictures = module("loading").write_forms(faces, 700, tmp_path)  # of 630: 70 are repeated
    as_csv, as_pictures = read(table), read(pictures)
    np.testing.assert_array_equal(as_csv.images, faces.images[np.arange(700) % 630])
    np.testing.assert_array_equal(as_csv.labels, faces.labels[np.arange(700) % 630])
    from_pictures, from_csv = (
        sorted(image.tobytes() for image in images) for images in (as_pictures.images, as_csv.images)
    )
    assert from_pictures == from_csv
    measured = module("loading").prepare({"path": str(table), "cache": str(tmp_path / "c"), "notebook": False})()
    assert measured["seconds"] > 0
    assert measured["peak"] >= measured["before"] > 10
