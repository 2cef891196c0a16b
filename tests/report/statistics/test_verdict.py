"""The sentences with which a report begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import runs

from fer_search.report.statistics.verdict import compared, verdict
from fer_search.report.tables.analysis import load_analysis


@pytest.mark.parametrize(
    ("equals", "others", "sentence"),
    [
        (0, 1, "The other design is significantly worse"),
        (0, 2, "Both other designs are significantly worse"),
        (0, 1200, "All 1,200 other designs are significantly worse"),
        (1, 1, "The other design is not significantly different"),
        (1, 2, "1 of the other 2 designs is not significantly different"),
        (2, 2, "Neither of the other designs is significantly different"),
        (2, 3, "2 of the other 3 designs are not significantly different"),
        (3, 3, "None of the other 3 designs is significantly different"),
    ],
)
def test_comparison_with_the_best_design(equals: int, others: int, sentence: str) -> None:
    assert compared(equals, others) == sentence


def sentence(run: Path, curves: list[list[float]]) -> str:
    """Return what the report says of the differences between designs with these validation accuracies."""
    trials = [f"{k:04d}" for k in range(len(curves))]
    runs.write_oracle(run, trials)
    (run / "run.json").write_text(json.dumps(runs.run_json(run.name)))
    for k, (trial, curve) in enumerate(zip(trials, curves, strict=True)):
        runs.write_trial(run, trial, runs.DEFAULTS | {"pool_size": 2, "classes": 7, "blocks": k + 1}, curve)
    details = verdict(load_analysis(run)).details
    return next(text for text in details if "significantly" in text)


TEST = "(95%, Bonferroni, 2,871 validation images, one seed each)."


def test_designs_with_fewer_epochs_are_counted_among_the_others(tmp_path: Path) -> None:
    long, short, other = [0.4, 0.5, 0.6], [0.4, 0.5], [0.4, 0.5, 0.5]
    assert sentence(tmp_path / "a", [long, short, other, other]) == (
        f"All 3 other designs are significantly worse {TEST} 1 of the others was trained for fewer epochs."
    )
    assert sentence(tmp_path / "b", [long, short, short]).endswith(
        f"{TEST} But all of them were trained for fewer epochs."
    )
    assert sentence(tmp_path / "c", [long, short]) == (
        f"The other design is significantly worse {TEST} But it was trained for fewer epochs."
    )


def test_equal_designs_with_equal_numbers_of_epochs(tmp_path: Path) -> None:
    assert sentence(tmp_path / "a", [[0.6], [0.6], [0.599]]) == (
        f"Neither of the other designs is significantly different {TEST}"
    )
