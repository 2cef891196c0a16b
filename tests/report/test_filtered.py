"""The browser's effects and importances, over the trials that the filter lets through, are Python's over the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import runs
from test_browser import Browser, browser, pytestmark  # noqa: F401

from fer_search import report
from fer_search.report.compare import at_epochs, varied
from fer_search.report.effects import effects
from fer_search.report.importance import conclusion, importances
from fer_search.report.trials import CHOICE
from fer_search.report.view import View, load_view

HALF_UNIT = 1e-4  # accuracies travel as whole numbers of 0.0001


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[View, Path]:
    """60 trials, a tenth of them failed, with conditional, numeric and logarithmic choices."""
    folder = runs.write_random(tmp_path_factory.mktemp("runs") / "run", trials=60, seed=5)
    return load_view(folder), report.write_report(folder)


def python_of(view: View, keep: Callable[[pd.DataFrame], Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    compared = at_epochs(view.trials, view.curves, view.budget)
    compared = compared._replace(trials=compared.trials[keep(compared.trials)].reset_index(drop=True))
    choices = varied(compared.trials, view.info.choices)
    return effects(compared, choices, view.curves), importances(compared, choices)


def agree(browser: Browser, view: View, keep: Callable[[pd.DataFrame], Any]) -> None:  # noqa: F811
    wanted, shares = python_of(view, keep)
    pick = "({choice, response, value, against, difference, from, to, sure, p, verdict, alone}) => "
    pick += "({name: choice.name, response, value, against, difference, from, to, sure, p, verdict, alone})"
    emotions = ["accuracy", *browser.js("judged(now.state).emotions")]
    rows = browser.js(f"[...judged(now.state).effects, ...judged(now.state).recalled].map({pick})")
    found = pd.DataFrame(rows)
    assert len(found) == len(wanted) > 0
    found["response"] = [emotions[k] for k in found["response"]]
    keys = ["choice", "response", "value"]
    both = wanted.merge(found.rename(columns={"name": "choice"}), on=keys, suffixes=("", "_js"))
    assert len(both) == len(wanted)
    assert (both["against"] == both["against_js"]).all()
    assert (both["alone"] == both["alone_js"]).all()
    for ours, theirs in (("difference", "difference_js"), ("low", "from"), ("high", "to")):
        np.testing.assert_allclose(both[ours], both[theirs], atol=20 * HALF_UNIT)
    np.testing.assert_allclose(both["p"], both["p_js"], atol=0.02)
    surely = (both["p"] - 0.05).abs() > 0.02
    assert (both["sure"] == both["sure_js"])[surely].mean() > 0.98

    rows = browser.js(
        "judged(now.state).importances.map(({choice, share, low, high, chance, first, p, verdict}) => "
        "({choice: choice.name, share, low, high, chance, first, p, verdict}))"
    )
    found = pd.DataFrame(rows)
    both = shares.merge(found, on="choice", suffixes=("", "_js"))
    assert len(both) == len(shares) == len(found)
    np.testing.assert_allclose(both["share"], both["share_js"], atol=0.005)
    np.testing.assert_allclose(both["p"], both["p_js"], atol=0.02)
    np.testing.assert_allclose(both["chance"], both["chance_js"], atol=0.01)
    for end in ("low", "high", "first"):  # other draws
        np.testing.assert_allclose(both[end], both[f"{end}_js"], atol=0.12)


def test_of_all_trials(browser: Browser, run: tuple[View, Path]) -> None:  # noqa: F811
    view, page = run
    browser.open(page)
    agree(browser, view, lambda trials: np.ones(len(trials), bool))
    assert browser.js("conclusion(judged(now.state).importances)") == conclusion(view.importances(view.budget))


@pytest.mark.parametrize("picked", [0, 1])
def test_of_the_trials_with_a_value(browser: Browser, run: tuple[View, Path], picked: int) -> None:  # noqa: F811
    view, page = run
    browser.open(page)
    at = browser.js("table.choices.findIndex(one => !one.scale && one.groups.length > 1)")
    name, value = browser.js(f"[table.choices[{at}].name, table.choices[{at}].groups[{picked}]]")
    browser.driver.execute_script(f"form.querySelectorAll('[name=c{at}]')[{picked}].click()")
    agree(browser, view, lambda trials: trials[CHOICE + name].astype(str) == value)
    assert name not in browser.js("judged(now.state).importances.map(one => one.choice.name)")


def test_of_the_best_half(browser: Browser, run: tuple[View, Path]) -> None:  # noqa: F811
    view, page = run
    browser.open(page, "#top=50")
    agree(browser, view, lambda trials: np.arange(len(trials)) < -(-len(trials) // 2))
    assert browser.js("[...document.querySelectorAll('.selection')].every(one => !one.hidden)")


def test_charts_and_texts_follow(browser: Browser, run: tuple[View, Path]) -> None:  # noqa: F811
    view, page = run
    browser.open(page)
    charts = [f"{kind}-{view.budget}" for kind in ("effects", "emotions", "importance")]
    caption = "document.getElementById('{}').parentNode.querySelector('.of').textContent"
    before = {}
    for chart in charts:
        browser.draw(chart)
        before[chart] = (browser.js(caption.format(chart)), browser.js(f"document.getElementById('{chart}').data"))
        assert before[chart][0] == f"{len(view.compared(view.budget).trials)} trials at {view.budget} epochs"
    browser.choose("top", "50")
    for chart in charts:
        browser.draw(chart)
        assert f" of {before[chart][0]}" in browser.js(caption.format(chart))
        assert browser.js(f"document.getElementById('{chart}').data") != before[chart][1]
    assert browser.js("document.querySelector('[data-budget]:not([hidden]) .headline.filtered').textContent")
    assert browser.js("[...document.querySelectorAll('.unfiltered')].every(one => one.hidden)")
    browser.choose("top", "100")
    for chart in charts:
        browser.draw(chart)
        now = (browser.js(caption.format(chart)), browser.js(f"document.getElementById('{chart}').data"))
        assert now == before[chart]
    assert browser.js("[...document.querySelectorAll('.unfiltered')].every(one => !one.hidden)")
    assert browser.logs()[0] == []


def test_too_few_trials_say_so(browser: Browser, run: tuple[View, Path]) -> None:  # noqa: F811
    view, page = run
    browser.open(page, "#top=5")
    browser.draw(f"importance-{view.budget}")
    said = browser.js(
        f"document.getElementById('importance-{view.budget}').parentNode.querySelector('.of').textContent"
    )
    assert said.endswith(": too few to say")
    assert browser.logs()[0] == []
