"""The HTML page and the text exports for every kind of run."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import runs

from fer_search import report
from fer_search.errors import UserError
from fer_search.report.page.page_data import page_table
from fer_search.report.tables.analysis import load_analysis

EVIL = "<script>alert(1)</script>"
QUOTES = "a \"b\" 'c' | d & e"


class _Reader(HTMLParser):
    """Collects a page's elements and checks that they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in ("meta", "link", "input", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.text += data


def read(page: Path) -> _Reader:
    reader = _Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    assert not reader.open
    assert len(reader.ids) == len(set(reader.ids))
    return reader


def evil_run(path: Path) -> Path:
    """A run whose choices, values, names, messages and references contain HTML and quotes."""
    space = [runs.choice(EVIL, [EVIL, QUOTES]), runs.choice(QUOTES, [1, "<b>2</b>"])]
    rng = random.Random(0)
    ids = [f"{k:04d}" for k in range(8)]
    runs.write_oracle(path, ids, space)
    info = runs.run_json(EVIL, references={EVIL: 0.5}, baselines={EVIL: {}}, command=f"fer-search run --name '{EVIL}'")
    info["space"]["text"] = f"'''{EVIL}</pre>'''"
    info["skipped"] = [{"what": EVIL, "why": QUOTES}]
    (path / "run.json").write_text(json.dumps(info))
    for k, trial in enumerate(ids):
        values = {EVIL: [EVIL, QUOTES][k % 2], QUOTES: [1, "<b>2</b>"][k // 2 % 2]}
        curve = [0.4 + rng.random() / 10 for _ in range(4)]
        common = {"space": space, "name": EVIL if k == 0 else None}
        if k == 7:
            runs.write_trial(path, trial, values, status="FAILED", message=f"{EVIL}\n{QUOTES}", **common)
        else:
            runs.write_trial(path, trial, values, curve, **common)
    return path


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of twelve trials and its page. Do not write to them."""
    run = runs.write_random(tmp_path_factory.mktemp("page") / "run", trials=12)
    return run, report.write_report(run)


def test_page_of_a_search(searched: tuple[Path, Path]) -> None:
    run, page = searched
    reader = read(page)
    assert page == run / "report.html"
    assert page.stat().st_size < 6e6
    assert reader.tags.count("h1") == 1
    assert "62.6%" in reader.text
    assert "out of memory" in reader.text


@pytest.mark.parametrize(("run", "several"), [("report_search_cpu", True), ("modern_gpu", False)])
def test_rungs_are_shown_where_there_are_several(tmp_path: Path, run: str, several: bool) -> None:
    page = report.write_report(Path(__file__).parents[3] / "results" / run, tmp_path / "page.html", plotly="cdn")
    assert ("Rungs and promotions" in page.read_text()) == several


def test_the_page_loads_no_external_resources(searched: tuple[Path, Path]) -> None:
    text = searched[1].read_text()
    assert "default-src &#x27;none&#x27;" in text
    assert 'src="' not in text
    assert 'href="http' not in text


def test_plotly_from_the_cdn_makes_a_small_page(searched: tuple[Path, Path], tmp_path: Path) -> None:
    page = report.write_report(searched[0], tmp_path / "page.html", plotly="cdn")
    assert page.stat().st_size < 4e5
    assert "https://cdn.plot.ly/plotly-" in page.read_text()
    with pytest.raises(ValueError, match="inline or cdn"):
        report.write_report(searched[0], tmp_path / "page.html", plotly="both")


def test_html_in_names_is_escaped(tmp_path: Path) -> None:
    page = report.write_report(evil_run(tmp_path / "run"))
    reader = read(page)
    assert EVIL in reader.text
    assert QUOTES in reader.text
    assert EVIL not in page.read_text()
    markdown = report.to_markdown(tmp_path / "run")
    assert not any("<script" in line for line in markdown.splitlines() if not line.startswith("    "))
    assert next(csv.DictReader(io.StringIO(report.to_csv(tmp_path / "run"))))[f"choice.{EVIL}"] in (EVIL, QUOTES)


@pytest.mark.parametrize(
    "kind", ["empty", "no oracle", "one", "all failed", "stock", "stock min", "running", "hyperband"]
)
def test_unusual_runs_have_a_report(tmp_path: Path, kind: str) -> None:
    run = tmp_path / "run"
    if kind in ("empty", "no oracle"):
        runs.write_random(run, trials=0, state="running")
        if kind == "no oracle":
            (run / "oracle.json").unlink()
    elif kind == "one":
        runs.write_random(run, trials=1)
    elif kind == "all failed":
        runs.write_random(run, trials=0)
        for k in range(3):
            runs.write_trial(
                run, f"{k:04d}", runs.sample(random.Random(k)), status="FAILED", message="the loss was no number"
            )
    elif kind == "stock":
        runs.write_stock(run)
    elif kind == "stock min":
        runs.write_stock(run, metric="val_loss", direction="min")
    elif kind == "running":
        runs.write_random(run, trials=0)
        runs.write_trial(run, "0000", runs.sample(random.Random(0)), [0.3, 0.4], status="RUNNING")
    else:
        runs.write_hyperband(run)
    reader = read(report.write_report(run))
    expected = {
        "empty": "No trial yet",
        "no oracle": "No trial yet",
        "one": "only design with a result",
        "all failed": "all 3 trials failed",
        "stock": "61.0%",
        "stock min": "0.5",
        "running": "No trial has completed yet",
        "hyperband": "60.8%",
    }
    assert expected[kind] in reader.text
    for text in (report.to_markdown(run), report.to_csv(run), report.to_json(run)):
        assert text.endswith("\n")
        assert "nan" not in text.lower()
    assert json.loads(report.to_json(run), parse_constant=pytest.fail)["run"]["name"]


def test_csv_json_and_markdown_agree(searched: tuple[Path, Path]) -> None:
    run, _ = searched
    table = list(csv.DictReader(io.StringIO(report.to_csv(run))))
    rows = json.loads(report.to_json(run))["trials"]
    assert len(table) == len(rows) == 12
    assert float(table[0]["accuracy"]) == pytest.approx(rows[0]["accuracy"])
    assert {row["protocol"] for row in table} == {"holdout"}
    assert {row["width"] for row in table} == {"0.125"}
    assert "| 1 | 2 (mixup_strided) |" in report.to_markdown(run)


def test_toy_data_are_never_compared_with_published_results(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run", data=runs.run_json("run")["data"] | {"toy": True, "name": "toy faces"})
    for text in (read(report.write_report(run)).text, report.to_markdown(run)):
        assert "Toy data" in text
        assert "points below" not in text


@pytest.mark.parametrize(("width", "quiet"), [(None, True), (0.125, False)])
def test_the_protocol_alone_is_no_warning(tmp_path: Path, width: float | None, quiet: bool) -> None:
    run = runs.write_random(tmp_path / "run", settings=runs.run_json("run")["settings"] | {"width": width})
    page = report.write_report(run, plotly="cdn").read_text()
    assert "Protocol of the search: validated on 2,871 images" in page
    assert ('class="cautions quiet"' in page, 'class="cautions"' in page) == (quiet, not quiet)


def test_an_unwritable_page_is_reported(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run", trials=1)
    with pytest.raises(UserError, match="--out"):
        report.write_report(run, run / "run.json" / "page.html")


def test_reports_do_not_import_keras(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run", trials=2)
    code = (
        "import sys, fer_search.report as r\n"
        f"r.write_report({str(run)!r}); r.to_markdown({str(run)!r})\n"
        "print([m for m in ('keras', 'keras_tuner', 'tensorflow', 'jax', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_for_one_trial_replaces_the_searchs_options(tmp_path: Path) -> None:
    command = "fer-search run --space 'my space.py' --name old --max-trials=9 --tuner hyperband --fix a=1 --repeats 3"
    run = runs.write_random(tmp_path / "run", command=command, settings={"fix": {"a": 1}})
    analysis = load_analysis(run)
    again = page_table(analysis, [])["again"]
    assert again["command"] == (
        "fer-search run --space 'my space.py' --fix a=1 --tuner random --baselines none --max-trials 1"
    )
    assert again["held"] == ["classes", "a"]
