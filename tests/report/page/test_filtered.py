"""What was learned follows the filter: the browser's numbers are Python's, of the same trials, and so are its words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import runs
from chromium import NEEDED, Browser

from fer_search import report
from fer_search.report.formatting import label
from fer_search.report.statistics.budgets import varied
from fer_search.report.statistics.effects import effects
from fer_search.report.statistics.importance import conclusion, importances, pairs
from fer_search.report.tables.analysis import RunAnalysis, load_analysis

pytestmark = NEEDED
Keep = Callable[[pd.DataFrame], Any]
FILTERS: dict[str, tuple[str, Keep]] = {  # name -> state in the hash, with choices by their names; the same in pandas
    "all": ("", lambda table: table["accuracy"] > 0),
    "completed": ("s=completed", lambda table: table["status"] == "completed"),
    "strided": ("downsample=1", lambda table: table["choice.downsample"] == "strided"),
    "max_pool": ("downsample=0", lambda table: table["choice.downsample"] == "max_pool"),
    "two_mixups": ("mixup_alpha=0&mixup_alpha=1", lambda table: table["choice.mixup_alpha"] < 1),
    "top_half": ("top=50", lambda table: table.index < -(-len(table) // 2)),
    "few": (
        "downsample=1&mixup_alpha=1",
        lambda t: (t["choice.downsample"] == "strided") & (t["choice.mixup_alpha"] == 0.3),
    ),
}


@pytest.fixture(scope="module")
def analysis(page: Path) -> RunAnalysis:
    """The page's run, with numbers as long as the page's: a hundredth of a point."""
    found = load_analysis(page.parent)
    recalls = [name for name in found.curves if name.startswith("recall_")]
    found.curves[recalls] = found.curves[recalls].round(4)
    return found


def state(browser: Browser, words: str) -> str:
    """Return a state with the choices' names replaced by the numbers that the page gives them."""
    names = browser.js("table.choices.map(choice => choice.name)")
    parts = [part.split("=") for part in words.split("&") if part]
    return "#" + "&".join(f"{f'c{names.index(name)}' if name in names else name}={value}" for name, value in parts)


def show(browser: Browser, page: Path, words: str) -> None:
    """Open the page, or use it where it is open already, and put a state into its hash, as a link to it does."""
    if not browser.driver.current_url.startswith(page.as_uri()):
        browser.open(page)
    wanted = state(browser, words)
    browser.driver.execute_script("now.waiting = true; location.hash = arguments[0]", wanted if words else "#q=")
    browser.wait(f"!now.waiting && location.hash === {wanted if words else ''!r}")


@pytest.mark.parametrize("name", FILTERS)
def test_numbers_are_pythons(browser: Browser, page: Path, analysis: RunAnalysis, name: str) -> None:
    words, keep = FILTERS[name]
    show(browser, page, words)
    compared = analysis.compared(9)
    table = compared.trials.assign(accuracy=compared.trials["accuracy"].round(4))
    some = compared._replace(trials=table[keep(table)].reset_index(drop=True))
    choices = varied(some.trials, analysis.info.choices)
    added, explained = effects(some, choices, analysis.curves), importances(some, choices)
    assert browser.js("passing('9').shown.map(row => table.trial[row]).sort()") == sorted(some.trials["trial"])

    got = pd.DataFrame(
        browser.js("learnedFrom(passing('9')).effects"), columns=[*added.columns.drop(["n", "n_against"])]
    )
    assert len(added) == 0 if name == "few" else len(added) > 20
    for column in ("choice", "value", "against", "response", "sure", "alone", "verdict"):
        assert got[column].tolist() == added[column].tolist(), column
    for column in ("difference", "low", "high", "p"):
        np.testing.assert_allclose(got[column].astype(float), added[column].astype(float), rtol=1e-6, atol=1e-9)

    found = pd.DataFrame(browser.js("learnedFrom(passing('9')).importances"), columns=explained.columns)
    assert found["share"].is_monotonic_decreasing
    found, explained = found.set_index("choice"), explained.set_index("choice")
    found = found.loc[explained.index]  # those without any share are in the order of the draws
    assert found["verdict"].tolist() == explained["verdict"].tolist()
    for column in ("share", "chance", "p"):
        np.testing.assert_allclose(found[column].astype(float), explained[column].astype(float), rtol=1e-6, atol=1e-9)
    others = [importances(some, choices, seed=seed).set_index("choice") for seed in range(8)]
    for column in (
        "low",
        "high",
        "first",
    ):  # of other draws: as far from Python's as those of its seeds from each other
        drawn = pd.concat([one[column] for one in others], axis=1).astype(float)
        spread = drawn.max(axis=1) - drawn.min(axis=1) + 0.02
        assert (found[column].astype(float) - drawn.mean(axis=1)).abs().le(spread).all(), column
    assert_same_pairs(pd.DataFrame(browser.js("learnedFrom(passing('9')).pairs")), pairs(some, choices))
    assert browser.js("conclusionOf(learnedFrom(passing('9')).importances)") == conclusion(explained.reset_index())


def assert_same_pairs(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert len(found) == len(expected)
    if len(expected):
        names = [expected[name].map(label) for name in ("choice", "other")]
        expected = expected.set_index(pd.MultiIndex.from_arrays(names))
        found = found.set_index(["choice", "other"]).loc[expected.index]  # those of the same p are in either order
        np.testing.assert_allclose(found[["share", "p"]], expected[["share", "p"]], rtol=1e-6, atol=1e-9)
        assert found["verdict"].tolist() == expected["verdict"].tolist()


def test_rounded_numbers_of_the_page_are_no_others(analysis: RunAnalysis) -> None:
    """The page has accuracies to a hundredth of a point: what that changes is not seen."""
    compared = analysis.compared(9)
    table = compared.trials.assign(accuracy=compared.trials["accuracy"].round(4))
    choices = varied(table, analysis.info.choices)
    exact, rounded = effects(compared, choices), effects(compared._replace(trials=table), choices)
    np.testing.assert_allclose(exact["difference"], rounded["difference"], atol=1e-4)


@pytest.mark.parametrize(("t", "dof"), [(0.1, 1), (2.5, 3), (1.3, 16), (40.0, 5), (4.0, 9975)])
def test_distributions_are_scipys(browser: Browser, page: Path, t: float, dof: int) -> None:
    from scipy.special import fdtrc, fdtri, stdtr, stdtrit

    if browser.js("typeof table") != "object":
        browser.open(page)
    assert browser.js(f"beyondT({t}, {dof})") == pytest.approx(2 * stdtr(dof, -t), rel=1e-9)
    assert browser.js(f"student({dof})") == pytest.approx(stdtrit(dof, 0.975), rel=1e-9)
    assert browser.js(f"beyondF({t}, 3, {dof})") == pytest.approx(fdtrc(3, dof, t), rel=1e-9)
    found = browser.js(f"whereChance(f => beyondF(f, 2, {dof}), 0.01)")
    assert found == pytest.approx(fdtri(2, dof, 0.99), rel=1e-9)


def text(browser: Browser, selector: str) -> str:
    """Return what a reader sees of the elements of the chosen budget."""
    return browser.js(
        f"[...document.querySelectorAll('[data-budget]:not([hidden]) {selector}')].filter(one => one.offsetParent)"
        ".map(one => one.innerText).join(' ')"
    )


def test_charts_and_words_follow(browser: Browser, page: Path) -> None:
    show(browser, page, "")
    browser.draw("effects-9")
    whole = browser.js("document.getElementById('effects-9').data[0].y")
    before = text(browser, "figcaption"), text(browser, ".note"), text(browser, ".headline")
    assert "filter" not in " ".join(before)
    assert text(browser, "details") != ""

    show(browser, page, "top=50&s=completed&downsample=1")  # the hash alone gives it
    count = browser.js("`${now.shown.length} of ${now.all} trials at 9 epochs, filtered`")
    for chart in ("effects-9", "emotions-9", "importance-9"):
        browser.draw(chart)
        assert count in browser.js(f"document.getElementById('{chart}').getAttribute('aria-label')")
    rows = browser.js("document.getElementById('effects-9').data[0].y")
    assert 0 < len(rows) < len(whole)
    assert not any(row.startswith(("downsample", "pool size")) for row in rows)  # one level, or none, is left
    assert text(browser, "figcaption").count(count) == 3
    assert text(browser, ".note").count("A selection by accuracy") == 2
    assert text(browser, ".headline") == browser.js("conclusionOf(learnedFrom(passing('9')).importances)")
    assert text(browser, "details") == ""  # they are of all trials; so few leave no pairs to tell

    browser.driver.execute_script("form.querySelector('[type=reset]').click()")
    browser.wait("location.hash === ''")
    browser.draw("importance-9")
    browser.draw("effects-9")
    assert browser.js("document.getElementById('effects-9').data[0].y") == whole
    assert (text(browser, "figcaption"), text(browser, ".note"), text(browser, ".headline")) == before
    assert browser.logs()[0] == []


def test_strongest_pairs_follow(browser: Browser, page: Path) -> None:
    show(browser, page, "s=completed")
    browser.draw("importance-9")
    expected = browser.js("learnedFrom(passing('9')).pairs.slice(0, 6).map(pair => [pair.choice, pair.other])")
    cells = "[...document.querySelectorAll('[data-budget=\"9\"] .of-shown details tbody tr')].map(row => "
    assert len(expected) == 6
    assert browser.js(cells + "[...row.cells].slice(0, 2).map(cell => cell.textContent))") == expected
    assert "pair" in text(browser, ".of-shown p")


def test_too_few_trials_say_so(browser: Browser, page: Path) -> None:
    show(browser, page, FILTERS["few"][0])
    for chart in ("effects-9", "emotions-9", "importance-9"):
        browser.draw(chart)
        assert browser.js(f"document.getElementById('{chart}').textContent").startswith("Too few of these trials")
    assert "pass the filter to say what a value adds" in text(browser, ".note")
    assert text(browser, ".headline") == "Too few trials of equal budget to say which choice matters."
    assert browser.logs()[0] == []


def test_progress_and_time_follow(browser: Browser, page: Path) -> None:
    show(browser, page, "downsample=1")
    browser.draw("so-far-trials")
    best = browser.js("document.getElementById('so-far-trials').data.find(one => one.meta?.role === 'best').y")
    assert best == sorted(best)
    assert len(best) == browser.js("now.listed.filter(row => table.accuracy.any[row] >= 0).length")
    assert max(best) == pytest.approx(browser.js("table.accuracy.any[now.shown[0]] / SCALE"))
    browser.draw("time")
    traces = browser.js("document.getElementById('time').data")
    at = browser.js("table.choices.findIndex(one => one.name === 'downsample')")
    assert [trace["x"][at] for trace in traces][:2] == [0, 1]  # all of it went to strided networks
    assert "filtered" in browser.js("document.getElementById('time').getAttribute('aria-label')")


def test_promotions_follow(browser: Browser, tmp_path: Path) -> None:
    run = runs.write_hyperband(tmp_path / "run")
    trials = report.load_trials(run)
    kept = trials["parent"].notna() & (trials["choice.mixup_alpha"] == 0.3)
    assert 0 < kept.sum() < trials["parent"].notna().sum()
    show(browser, report.write_report(run), "mixup_alpha=0")  # of two values
    browser.draw("bracket-2")
    flow = browser.js("document.getElementById('bracket-2').data.find(one => one.meta?.role === 'flow').x")
    assert len(flow) == 3 * kept.sum()  # from, to and a gap
    assert flow[2::3] == [None] * kept.sum()
    low, high = browser.js("document.getElementById('bracket-2').layout.yaxis.range")
    shown = trials.loc[trials["choice.mixup_alpha"] == 0.3, "accuracy"]
    assert low < shown.min() < shown.max() < high


def test_failed_trials_of_a_value_are_listed(browser: Browser, page: Path) -> None:
    trials = report.load_trials(page.parent)
    expected = trials[(trials["status"] == "failed") & (trials["choice.downsample"] == "strided")]
    assert len(expected)
    show(browser, page, "s=failed&downsample=1")
    assert browser.js("now.listed.map(row => table.trial[row]).sort()") == sorted(expected["trial"])
