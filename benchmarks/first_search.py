"""Whether a first search pays off: ``make search`` on toy faces with several seeds.

    python benchmarks/first_search.py               # 10 seeds of some minutes each; the target is 8 wins of 10
    python benchmarks/first_search.py --seeds 3 --data fer2013.csv

Each seed is a separate search with the Makefile's options and its own validation images, proposals, initial weights and
batches. A search wins if its best proposal has a higher validation accuracy than the default design, its first trial.
Accuracies are those of the best epoch; a stopped and resumed design counts once. If killed, the benchmark resumes with
the same command: the searches are run folders under --folder.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import common


def makefile_options(makefile: Path = common.ROOT / "Makefile") -> list[str]:
    """Return the space and options that ``make search`` passes to ``fer-search run``."""
    values = dict(re.findall(r"^(SPACE|SEARCH) \?= (.*)$", makefile.read_text(encoding="utf-8"), re.MULTILINE))
    return ["--space", str(common.ROOT / values["SPACE"]), *shlex.split(values["SEARCH"])]


def search(seed: int, options: Any) -> Path:
    """Run or resume the search for a seed; return its folder."""
    name = f"seed_{seed}"
    given = ["--data", options.data, "--seed", str(seed), "--name", name, "--results-dir", str(options.folder)]
    command = [sys.executable, "-m", "fer_search.cli", "run", *makefile_options(), *given, *options.more, "--quiet"]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise SystemExit(f"the search of seed {seed} ended with exit code {done.returncode}")
    return Path(options.folder / name)


def outcome(run: Path) -> dict[str, Any]:
    """Return a search's accuracies (0 to 1) of the default design, trial 0, and of the best proposal."""
    designs: dict[str, float] = {}  # first trial of a design -> its best score so far
    first: dict[str, str] = {}
    for file in sorted(run.glob("trial_*/trial.json")):
        trial = json.loads(file.read_text(encoding="utf-8"))
        number, parent = trial["trial_id"], trial["hyperparameters"]["values"].get("tuner/trial_id")
        first[number] = first[parent] if parent else number
        if trial.get("score") is not None:
            score = float(trial["score"])
            designs[first[number]] = max(score, designs.get(first[number], score))
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    default = designs.pop("0000", float("nan"))
    best = max(designs, key=designs.__getitem__, default=None)
    return {
        "default": default,
        "best": float("nan") if best is None else designs[best],
        "trial": best,
        "designs": len(designs) + 1,
        "minutes": record["seconds"] / 60,
    }


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--data", default="toy", help="FER2013 in any form, or toy (default: toy)")
    parser.add_argument("--seeds", type=int, help="number of searches (default: 10)")
    parser.add_argument("--folder", type=Path, help="folder for the searches (default: results/bench_first_search)")
    options = parser.parse_args()
    options.seeds = options.seeds or (1 if options.quick else 10)
    kept = "bench_first_search_quick" if options.quick else "bench_first_search"
    options.folder = options.folder or common.ROOT / "results" / kept
    options.more = ["--limit-train", "70", "--max-epochs", "1", "--max-trials", "3"] if options.quick else []
    outcomes = {}
    for seed in range(options.seeds):
        outcomes[seed] = outcome(search(seed, options))
        gain = 100 * (outcomes[seed]["best"] - outcomes[seed]["default"])
        common.say(f"seed {seed}: default {outcomes[seed]['default']:.3f}, best proposal {gain:+.1f} points")
    common.report(options, [table_of(outcomes)], {"found": outcomes})


def table_of(outcomes: dict[int, dict[str, Any]]) -> common.Table:
    """Return a table with a row per seed and the number of wins."""
    table = common.Table(
        "A first search", ["seed", "default, %", "best proposal, %", "gain, points", "designs", "minutes"]
    )
    for seed, result in outcomes.items():
        accuracies = [f"{100 * result[name]:.1f}" for name in ("default", "best")]
        gain = f"{100 * (result['best'] - result['default']):+.1f}"
        table.rows.append([str(seed), *accuracies, gain, str(result["designs"]), f"{result['minutes']:.1f}"])
    wins = sum(result["best"] > result["default"] for result in outcomes.values())
    gains = common.spread([100 * (result["best"] - result["default"]) for result in outcomes.values()])
    table.notes.append(
        f"The best proposal beats the default in {wins} of {len(outcomes)} searches; median gain "
        f"{gains.median:+.1f} points ({gains.low:+.1f} to {gains.high:+.1f})."
    )
    return table


if __name__ == "__main__":
    main()
