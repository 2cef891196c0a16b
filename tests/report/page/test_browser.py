"""The report page in headless Chromium: no console errors, no requests, and working controls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import runs
from chromium import NEEDED, Browser
from test_page import evil_run

from fer_search import report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'")
pytestmark = NEEDED

# Scrolls from chart to chart, then returns the ids of the visible charts and of those that were drawn.
SCROLL = """
document.querySelectorAll("main details").forEach(item => { item.open = true; });
const done = arguments[0], shown = elements.filter(item => item.offsetParent);
(async () => {
  for (const item of shown) {
    item.scrollIntoView();
    for (let k = 0; k < 400 && stale(item); k++) await new Promise(then => setTimeout(then, 5));
  }
  done([shown.map(item => item.id), shown.filter(item => item.querySelector("svg.main-svg")).map(item => item.id)]);
})();
"""


@pytest.mark.parametrize("kind", ["random", "hyperband", "stock", "evil", "empty", "failed"])
def test_every_kind_of_run_opens_without_errors(browser: Browser, tmp_path: Path, kind: str) -> None:
    make: dict[str, Callable[[Path], Path]] = {
        "random": runs.write_random,
        "hyperband": runs.write_hyperband,
        "stock": runs.write_stock,
        "evil": evil_run,
        "empty": lambda path: runs.write_random(path, trials=0),
        "failed": lambda path: runs.write_failed(path),
    }
    file = report.write_report(make[kind](tmp_path / "run"))
    browser.open(file)
    shown, drawn = browser.driver.execute_async_script(SCROLL)
    assert drawn == shown
    assert bool(shown) == (kind not in ("empty", "failed"))
    if kind in ("evil", "hyperband"):
        browser.choose("top", "50")  # the script redraws what Python drew
        shown, drawn = browser.driver.execute_async_script(SCROLL)
        assert drawn == shown
        assert (
            browser.js("document.querySelector('main .chart script, main figure b script, main .note script')") is None
        )
    errors, sent = browser.logs()
    assert errors == []
    assert {address for address in sent if not address.startswith(("data:", "blob:"))} == {file.as_uri()}


def test_clicking_a_heading_sorts_the_ranking(browser: Browser, page: Path) -> None:
    browser.open(page)
    column = "[...ranked.tBodies[0].rows].map(row => table.columns[k].values[+row.dataset.row])"
    column_index = browser.js("table.columns.findIndex(item => item.name === 'choice.rate')")
    for falling in (True, False):
        browser.driver.execute_script(f"ranked.tHead.rows[0].cells[{column_index}].querySelector('button').click()")
        values = browser.js(column.replace("[k]", f"[{column_index}]"))
        assert values == sorted(values, reverse=falling)
        aria_sort = browser.js(f"ranked.tHead.rows[0].cells[{column_index}].getAttribute('aria-sort')")
        assert aria_sort == ("descending" if falling else "ascending")


def test_search_words_filter_the_ranking(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.choose("q", "strided failed")
    rows = browser.js("[...ranked.tBodies[0].rows].map(row => row.textContent)")
    assert rows
    assert all("strided" in row and "failed" in row for row in rows)


def test_choice_filters_apply_everywhere_and_are_kept_in_the_url_hash(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.draw("curves-chart")
    before = browser.js("now.shown.length")
    choice = browser.js("table.choices.findIndex(item => item.name === 'downsample')")
    browser.driver.execute_script(f"form.elements['c{choice}'][1].click()")
    open_all(browser)
    assert browser.js("now.shown.length") < before
    assert browser.js(f"now.listed.every(row => table.choices[{choice}].place[row] === 1)")
    browser.draw("choice-0")
    dots = "document.getElementById('choice-0').data[0].customdata"
    assert browser.js(f"{dots}.every(row => table.choices[{choice}].place[row] === 1)")
    state = browser.js("location.hash")
    assert f"c{choice}=1" in state
    browser.open(page, state)
    assert browser.js(f"form.elements['c{choice}'][1].checked && now.shown.length < {before}")


def open_all(browser: Browser) -> None:
    """Open all collapsed sections."""
    browser.driver.execute_script("document.querySelectorAll('main details').forEach(item => { item.open = true; })")


def test_best_design_is_highlighted_at_any_budget(browser: Browser, tmp_path: Path) -> None:
    """Including a design whose last rung exceeds the compared budget: its full curve over all rungs is drawn."""
    run = runs.write_hyperband(tmp_path / "run")
    browser.open(report.write_report(run))
    browser.draw("curves-chart")
    drawn = browser.js("document.getElementById('curves-chart').data.find(item => item.meta?.role === 'curve')")
    assert drawn["x"] == list(range(1, 10))
    assert f"Trial {int(report.load_designs(run)['trial'].iloc[0])}" in drawn["hovertemplate"].capitalize()
    ticks = browser.js("[...document.querySelectorAll('#curves-chart .xtick text')].map(item => item.textContent)")
    assert ticks == sorted(set(ticks), key=int)


def test_the_budget_control_moves_the_dots(browser: Browser, page: Path) -> None:
    browser.open(page)
    open_all(browser)
    browser.draw("choice-0")
    first = browser.js("Math.max(...document.getElementById('choice-0').data[0].y)")
    before = browser.js("document.getElementById('verdict').innerText")
    browser.choose("b", "3")
    browser.draw("choice-0")
    assert browser.js("Math.max(...document.getElementById('choice-0').data[0].y)") < first - 0.05
    assert browser.js("document.getElementById('verdict').innerText") == before  # the verdict covers all budgets


def test_the_scripts_means_match_python(browser: Browser, page: Path) -> None:
    """The script's means and intervals at the default budget equal those computed in Python."""
    from fer_search.report.statistics.budgets import levels
    from fer_search.report.tables.analysis import load_analysis

    analysis = load_analysis(page.parent)
    choice = next(choice for choice in analysis.varied if choice.name == "mixup_alpha")
    expected = levels(analysis.compared(analysis.budget).trials, choice) or []
    browser.open(page)
    open_all(browser)
    chart = browser.js(
        "elements.find(item => charts[item.id].data.some(trace => trace.meta?.choice === 'mixup_alpha')).id"
    )
    browser.draw(chart)
    drawn = browser.js(f"document.getElementById('{chart}').data.find(trace => trace.meta?.role === 'means')")
    assert drawn["y"] == pytest.approx([level.mean for level in expected], abs=1e-4)
    assert drawn["error_y"]["array"] == pytest.approx([level.high - level.mean for level in expected], rel=0.02)


@pytest.mark.parametrize("dof", [1, 2, 4, 5, 9, 30, 400])
def test_student_quantile_matches_scipy(browser: Browser, page: Path, dof: int) -> None:
    from scipy.special import stdtrit

    if browser.js("typeof table") != "object":
        browser.open(page)
    assert browser.js(f"student({dof})") == pytest.approx(stdtrit(dof, 0.975), rel=2e-3)


def test_dots_are_coloured_by_a_choice(browser: Browser, page: Path) -> None:
    browser.open(page)
    open_all(browser)
    browser.draw("choice-0")
    choice = browser.js("table.choices.findIndex(item => item.name === 'downsample')")
    browser.choose("colour", str(choice))
    browser.draw("choice-0")
    assert browser.js("new Set(document.getElementById('choice-0').data[0].marker.color).size") == 2
    assert browser.js("[...document.querySelectorAll('#legend span')].map(item => item.textContent)") == [
        "max_pool",
        "strided",
    ]


def test_a_selected_design_is_marked_everywhere(browser: Browser, page: Path) -> None:
    browser.open(page)
    open_all(browser)
    browser.driver.execute_script("ranked.tBodies[0].rows[4].querySelector('th button').click()")
    trial = browser.js("table.trial[now.state.trial]")
    assert f"t={trial}" in browser.js("location.hash")
    command = browser.js("document.querySelector('#selected pre').textContent")
    assert command.startswith("fer-search run --space search_spaces/report.py --width 0.125 --tuner random")
    assert f"--max-epochs 9 --name run_trial_{trial} --fix downsample=" in command
    assert "classes" not in command  # a Fixed choice is omitted
    box = browser.js("(item => [item.top, item.bottom])(document.getElementById('selected').getBoundingClientRect())")
    assert 0 <= box[0] < box[1] <= browser.js("innerHeight")  # visible on the screen
    browser.wait("document.querySelector('#selected #trial-chart svg.main-svg')")
    caption = browser.js("document.getElementById('trial-chart').parentNode.querySelector('figcaption').textContent")
    assert caption.startswith(f"Trial {int(trial)}")
    browser.draw("choice-0")
    assert browser.js(
        "document.getElementById('choice-0').data.some(item => item.marker?.symbol === 'circle-open' && item.x.length)"
    )


def test_failed_trial_shows_its_error(browser: Browser, page: Path) -> None:
    browser.open(page, "#s=failed")
    browser.driver.execute_script("ranked.tBodies[0].rows[0].click()")
    assert "out of memory" in browser.js("document.querySelector('#selected pre').textContent")


def test_brushing_an_axis_filters_designs(browser: Browser, page: Path) -> None:
    browser.open(page)
    open_all(browser)
    browser.draw("parallel")
    axis = browser.js("charts.parallel.axes.indexOf('downsample')")
    before = browser.js("now.shown.length")
    size = browser.js(
        "(box => [box.left, box.top])(document.querySelector('#parallel .nsewdrag').getBoundingClientRect())"
    )
    to = f"(layout => layout.xaxis.l2p({axis}))(document.getElementById('parallel')._fullLayout)"
    top = "(layout => layout.yaxis.l2p(1.06))(document.getElementById('parallel')._fullLayout)"
    middle = "(layout => layout.yaxis.l2p(0.7))(document.getElementById('parallel')._fullLayout)"
    x, y = size[0] + browser.js(to) + 4, size[1] + browser.js(top)
    actions = webdriver.ActionChains(browser.driver, duration=60)
    drag = actions.w3c_actions.pointer_action
    drag.move_to_location(round(x), round(y))
    drag.pointer_down()
    drag.move_to_location(round(x), round(y + 20))
    drag.move_to_location(round(x), round(size[1] + browser.js(middle)))  # drag straight down
    drag.pointer_up()
    actions.perform()
    browser.wait(f"now.shown.length < {before}")
    choice = browser.js("table.choices.findIndex(item => item.name === 'downsample')")
    assert browser.js(f"now.shown.every(row => table.choices[{choice}].place[row] === 1)")
    assert browser.js("now.shown.length") > 0
    ticked = browser.js(
        "[...form.elements].filter(item => item.type === 'checkbox' && item.checked).map(item => item.name)"
    )
    assert set(ticked) == {f"c{choice}"}  # only that choice is filtered
    assert "NaN" not in browser.js("document.getElementById('parallel').textContent")


def test_a_pair_of_choices_can_be_selected(browser: Browser, page: Path) -> None:
    browser.open(page)
    open_all(browser)
    choice = browser.js("table.choices.findIndex(item => item.name === 'flip')")
    browser.choose("x", str(choice))
    browser.draw("pair")
    assert browser.js("document.getElementById('pair').data[0].x") == ["no", "yes"]


def test_top_filter_and_reset(browser: Browser, page: Path) -> None:
    browser.open(page)
    total = browser.js("now.shown.length")
    browser.choose("top", "10")
    assert browser.js("now.shown.length") == -(-total // 10)
    browser.driver.execute_script("form.querySelector('[type=reset]').click()")
    browser.wait(f"now.shown.length === {total}")
    assert browser.js("location.hash") == ""
