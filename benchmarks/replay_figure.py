"""Draws docs/search.svg: best observed accuracy against epochs, from the output of ``replay.py --json``.

python benchmarks/replay_figure.py replay.json docs/search.svg
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

SHOWN = ("guided", "hyperband", "bayesian", "random", "Optuna TPE + median", "Optuna TPE + Hyperband")
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#7f7f7f", "#cc79a7", "#e69f00")
WIDTH, HEIGHT, LEFT, TOP = 720, 300, 60, 40
LABEL_WIDTH = 22
PANEL = {"poor": "poor baselines", "none": "no baselines", "good": "good baselines"}


def draw(raw: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Return the figure as SVG, with a panel per scenario and a line for each of the methods SHOWN."""
    scenarios = [name for name in PANEL if any(key.startswith(f"{name}/") for key in raw)]
    methods = [name for name in SHOWN if any(key.split("/", 1)[1] == name for key in raw)]
    marks = sorted({int(key.split()[1]) for row in raw.values() for key in row if key.startswith("observed")})
    points = {
        (s, m): [100 * float(np.mean(raw[f"{s}/{m}"][f"observed {mark}"])) for mark in marks]
        for s in scenarios
        for m in methods
        if f"{s}/{m}" in raw
    }
    width = (WIDTH - LEFT) / len(scenarios)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + 30}" font-family="sans-serif" '
        'font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for panel, scenario in enumerate(scenarios):
        left = LEFT + panel * width
        mine = [values for (s, _), values in points.items() if s == scenario]
        low, high = np.floor(np.min(mine)), np.ceil(np.max(mine))

        def place(mark: float, value: float, left: float = left, low: float = low, high: float = high) -> str:
            x = left + (mark - marks[0]) / (marks[-1] - marks[0]) * (width - 50)
            return f"{x:.1f},{HEIGHT - 30 - (value - low) / (high - low) * (HEIGHT - 30 - TOP):.1f}"

        parts.append(f'<text x="{left}" y="20" font-weight="bold">{PANEL[scenario]}</text>')
        for value in np.arange(low, high + 1, 1 if high - low < 8 else 2):
            x, y = place(marks[0], value).split(",")
            parts.append(f'<line x1="{x}" y1="{y}" x2="{float(x) + width - 50}" y2="{y}" stroke="#ddd"/>')
            parts.append(f'<text x="{float(x) - 6}" y="{float(y) + 4}" text-anchor="end">{value:.0f}</text>')
        labelled = -np.inf
        for mark in marks:
            x, _ = place(mark, low).split(",")
            if float(x) - labelled >= LABEL_WIDTH:
                labelled = float(x)
                parts.append(f'<text x="{x}" y="{HEIGHT - 10}" text-anchor="middle">{mark}</text>')
        for index, method in enumerate(methods):
            if (scenario, method) not in points:
                continue
            line = " ".join(place(m, v) for m, v in zip(marks, points[scenario, method], strict=True))
            thick = 3 if method == "guided" else 1.5
            parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[index]}" stroke-width="{thick}"/>')
    x = LEFT
    for index, method in enumerate(methods):
        parts.append(f'<text x="{x}" y="{HEIGHT + 18}" fill="{COLOURS[index]}">{method}</text>')
        x += 7 * len(method) + 22  # a letter is about 7 wide
    parts.append(f'<text x="14" y="{HEIGHT / 2}" transform="rotate(-90 14 {HEIGHT / 2})">best observed, %</text></svg>')
    return "\n".join(parts) + "\n"


def main() -> None:
    *sources, target = map(Path, sys.argv[1:])
    raw: dict[str, dict[str, list[float]]] = {}
    for source in sources:
        raw |= json.loads(source.read_text(encoding="utf-8"))["raw"]
    target.write_text(draw(raw), encoding="utf-8")


if __name__ == "__main__":
    main()
