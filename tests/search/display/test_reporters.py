"""What a user sees of a search, and what is said about its time."""

import dataclasses
import io
import json

import pytest
from rich.console import Console

from fer_search.search.display import events
from fer_search.search.display.formatting import format_duration, format_exactly, format_range
from fer_search.search.display.json_lines import JsonLines
from fer_search.search.display.lines import Lines
from fer_search.search.display.live import Live, sparkline

ROW = {"epoch": 1, "accuracy": 0.5, "val_accuracy": 0.4, "val_loss": float("nan"), "seconds": 2.0}
BEST = events.Best(1, "cut", 0.62, {"filters": 64, "rate": 0.00123})
STORY = [
    events.Note("Data: [brackets] stay."),
    events.SearchBegun("results/x", "random", 3, 6, 0, (60.0, 90.0), None),
    events.TrialBegun(0, 3, "plain", {"filters": 64}, 2, 1000, ()),
    events.Steps(1, 32, 64, 1.9, 0.3, (50.0, 80.0)),
    events.EpochEnded(0, ROW, (40.0, 70.0)),
    events.TrialEnded(0, "plain", "completed", 0.4, 1, "ended after epoch 1: no better for 1 epochs", BEST, 0),
    events.TrialBegun(1, 3, None, {"filters": 32}, 2, 1000, (0.3,)),
    events.TrialEnded(1, None, "failed", None, None, "out of memory", BEST, 1),
    events.SearchEnded("results/x", "finished", "Done: 3 trials.", 3, 1, BEST),
]


def told(view, story=STORY):
    for event in story:
        view.show(event)
    view.close()


def test_lines_tell_the_story():
    out = io.StringIO()
    told(Lines(Console(file=out, width=40)))
    assert out.getvalue().splitlines() == [
        "Data: [brackets] stay.",
        "trial 0 (1 of 3): plain",
        "  epoch 1 of 2: accuracy 0.500, validation 0.400 (loss nan), 2.0 s; 40 to 70 s left",
        "  validation accuracy 0.400 in epoch 1; ended after epoch 1: no better for 1 epochs; "
        "best so far: 0.620 by trial 1 (cut)",
        "trial 1 (2 of 3): filters 32; resuming after epoch 1",
        "  trial 1 failed: out of memory; best so far: 0.620 by trial 1 (cut)",
        "Done: 3 trials.",
    ]


def test_without_a_trial_limit_trials_are_not_counted_down():
    story = [dataclasses.replace(e, trials=None) if hasattr(e, "trials") and e.trials == 3 else e for e in STORY]
    out = io.StringIO()
    told(Lines(Console(file=out, width=40)), story[:3])
    assert out.getvalue().splitlines()[1] == "trial 0: plain"
    screen = io.StringIO()
    view = Live(Console(file=screen, width=100, force_terminal=True, color_system=None))
    for event in story[:4]:
        view.show(event)
    view.console.print(view._draw())
    assert "0 trials" in screen.getvalue()
    told(view, story[4:])


def test_quiet_leaves_failures_and_the_end():
    out = io.StringIO()
    told(Lines(Console(file=out, width=200), quiet=True))
    assert len(out.getvalue().splitlines()) == 3


def test_json_lines_are_json_without_nan():
    out = io.StringIO()
    told(JsonLines(out))
    lines = [json.loads(line, parse_constant=pytest.fail) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines][:4] == ["note", "search_begun", "trial_begun", "epoch_ended"]
    assert lines[3]["row"]["val_loss"] is None


def test_the_live_panel_shows_curve_best_failures_and_time():
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    view = Live(console)
    told(view, STORY[:5])
    with console.capture() as shown:
        console.print(view._draw())
    text = shown.get()
    for words in ("0 of 3 trials", "40 to 70 s left", "trial 0: plain", "validation ▁ 0.400, at best 0.400"):
        assert words in text
    told(view, STORY[5:8])
    with console.capture() as shown:
        console.print(view._draw())
    assert "best 0.620, trial 1: cut: filters 64, rate 0.00123" in shown.get()
    assert "1 failure" in shown.get()


def test_sparklines_span_the_blocks():
    assert sparkline([0.1, 0.2, 0.3, 0.8]) == "▁▂▃█"
    assert sparkline([0.5, 0.5]) == "▁▁"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (240, 420, "4 to 7 min"),
        (50, 150, "50 s to 2 min"),
        (7200, 7300, "about 2.0 h"),
        (5000, 200000, "83 min to 2.3 days"),
    ],
)
def test_ranges_are_said_as_people_do(low, high, words):
    assert format_range(low, high) == words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12, "about 12 s"), (89, "about 89 s"), (150, "about 2 min"), (9000, "about 2.5 h"), (2e5, "about 2.3 days")],
)
def test_durations_have_the_unit_that_people_use(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(100.0, "100 s"), (90.0, "1.5 min"), (300.0, "5 min"), (5400.0, "1.5 h"), (172800.0, "2 days"), (0.5, "0.5 s")],
)
def test_time_budgets_are_given_exactly(seconds, text):
    assert format_exactly(seconds) == text


PARALLEL = [
    events.SearchBegun("results/x", "random", 3, 6, 0, (60.0, 90.0), None),
    events.TrialBegun(0, 3, "plain", {"filters": 64}, 2, 1000, ()),
    events.TrialBegun(1, 3, None, {"filters": 32}, 4, 1000, (0.3,)),
    events.Steps(2, 16, 64, 1.9, 0.3, (50.0, 80.0), trial=1),
    events.EpochEnded(0, ROW, (40.0, 70.0)),
]


def test_lines_of_several_trials_say_which_trial_they_are_of():
    out = io.StringIO()
    ended = events.TrialEnded(1, None, "completed", 0.6, 3, "", BEST, 0)
    last = [events.EpochEnded(0, ROW, (0.0, 0.0)), dataclasses.replace(ended, number=0)]
    told(Lines(Console(file=out, width=200)), [*PARALLEL, ended, *last])
    lines = out.getvalue().splitlines()
    assert lines[2].startswith("  trial 0: epoch 1 of 2: ")
    assert lines[3].startswith("  trial 1: validation accuracy 0.600 in epoch 3")
    assert lines[4].startswith("  trial 0: epoch 1 of 2: ")  # also once it trains alone
    assert lines[5].startswith("  trial 0: validation accuracy 0.600 in epoch 3")


def test_the_live_panel_has_a_line_for_each_of_several_trials():
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    view = Live(console)
    told(view, PARALLEL)
    with console.capture() as shown:
        console.print(view._draw())
    text = shown.get()
    assert "trial 0: epoch 2 of 2" in text
    assert "trial 1: epoch 2 of 4" in text
    view.show(events.TrialEnded(1, None, "completed", 0.6, 3, "", BEST, 0))
    with console.capture() as shown:
        console.print(view._draw())
    assert "trial 0: plain" in shown.get()
