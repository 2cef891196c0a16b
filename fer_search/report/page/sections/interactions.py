"""How choices act together: parallel coordinates and the means of pairs."""

from __future__ import annotations

import numpy as np

from fer_search.report import formatting
from fer_search.report.figures.pair import plot_pair
from fer_search.report.figures.parallel import plot_parallel
from fer_search.report.page.filters import select
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.sections.table import folded, note
from fer_search.report.tables.analysis import RunAnalysis

MOST_AXES = 12
MOST_NEVER = 40  # pairs of values that are listed


def section(analysis: RunAnalysis, choices: list[dict]) -> Section:
    """Parallel coordinates, the means of any two choices' values, and what was never tried.

    Args:
        analysis: the run.
        choices: of ``tables.page_table``.
    """
    shown, title = analysis.by_importance, "Choices together"
    if len(shown) < 2:
        return Section("interactions", title, Markup())
    scored = analysis.trials[analysis.trials["accuracy"].notna()]
    along = shown[:MOST_AXES]
    lines = Chart("parallel", plot_parallel(scored, along, None), "labelled", axes=[choice.name for choice in along])
    pair = Chart("pair", plot_pair(scored, shown[0], shown[1]))
    names = {str(at): choice["label"] for at, choice in enumerate(choices)}
    place = {choice["name"]: str(at) for at, choice in enumerate(choices)}
    controls = [
        select("Across", "x", names, place[shown[0].name], "filters"),
        select("upwards", "y", names, place[shown[1].name], "filters"),
    ]
    left = f" The {MOST_AXES} most important choices." if len(shown) > MOST_AXES else ""
    text = note(
        "Every line is a trial; vermilion: the best tenth; blue: the rest of the better half; grey: the others. Drag "
        "over an axis to keep the trials that pass there (the filter bar shows it). No dot on an axis: "
        f"the choice was not active.{left}"
    )
    below = note("Mean accuracy and number of trials; a blank cell: none of these trials.")
    body = join(
        *(text, lines.placeholder(), tag("h3", "Any two choices"), below),
        *(
            tag("p", *controls, class_="controls"),
            pair.placeholder(),
            _never(choices, analysis.trials["accuracy"].notna().to_numpy()),
        ),
    )
    return Section("interactions", title, body, [lines, pair])


def _never(choices: list[dict], scored: np.ndarray) -> Markup | None:
    """Pairs of values that no trial with a result (``scored``, bool) had; ranges of numbers are left out."""
    known = [choice for choice in choices if not choice["ordered"]]
    missing = []
    for at, a in enumerate(known):
        for b in known[at + 1 :]:
            x, y = np.array(a["place"]), np.array(b["place"])
            both = scored & (x >= 0) & (y >= 0)
            tried = set(zip(x[both].tolist(), y[both].tolist(), strict=True))
            missing += [
                f"{a['label']} {left} with {b['label']} {right}"
                for i, left in enumerate(a["groups"])
                for j, right in enumerate(b["groups"])
                if (i, j) not in tried
            ]
    if not missing:
        return None
    more = [tag("li", f"and {len(missing) - MOST_NEVER} more")] if len(missing) > MOST_NEVER else []
    items = [tag("li", one) for one in missing[:MOST_NEVER]]
    return folded(
        f"Never tried by any trial: {formatting.plural(len(missing), 'pair')} of values", tag("ul", *items, *more)
    )
