"""Runs the benchmarks one after the other and writes their results to docs/benchmarks.md and docs/benchmarks.json.

    make bench                                             # the default suite: 20 minutes on two CPU cores
    python benchmarks/run.py --quick                       # trial run: docs are not changed
    python benchmarks/run.py epoch step --data fer2013.csv # only these; other tables are kept
    python benchmarks/run.py parity                        # ten minutes, not in the default suite
    python benchmarks/run.py hour                          # ten hours: accuracy against minutes; resumable

Each benchmark runs in its own process and has more options when run directly (``python benchmarks/epoch.py --help``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import common

from fer_search import backend

DOCS = common.ROOT / "docs"
DATA = (
    "epoch",
    "augmentation",
    "step",
    "peak",
    "loading",
    "memory",
    "parity",
    "equal_time",
    "hour",
    "low_resolution",
)  # accept --data
SUITE: dict[str, list[str]] = {  # benchmark -> its options in the 20-minute suite
    "epoch": [],
    "augmentation": [],
    "step": [],
    "peak": [],
    "fixed_cost": [],
    "loading": [],
    "memory": [],
    "workers": [],
    "importance": [],
    "proposals": ["--seeds", "2", "--trials", "21", "--timing-trials", "60"],
}
# run only by name
MORE: dict[str, list[str]] = {
    "parity": [],
    "many_workers": ["--trials", "10000"],
    "families": [],
    "equal_time": [],
    "hour": [],
    "low_resolution": [],
    "first_search": [],
}


def run(name: str, options: list[str], folder: Path) -> dict[str, Any] | None:
    """Run a benchmark with its output on the terminal; return its results, or None if it failed."""
    out = folder / f"{name}.json"
    paths = os.pathsep.join([str(common.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    script = str(Path(__file__).with_name(f"{name}.py"))
    began = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, script, *options, "--json", str(out)], env=environment, check=False)
    if done.returncode or not out.exists():
        common.say(f"FAILED: {name}, exit code {done.returncode}")
        return None
    return json.loads(out.read_text(encoding="utf-8")) | {"seconds": round(time.perf_counter() - began)}


def replace_section(page: str, name: str, text: str) -> str:
    """Return the page with the text between a benchmark's two markers replaced.

    Raises:
        ValueError: The page lacks the markers.
    """
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, started, rest = page.partition(first)
    _, ended, after = rest.partition(last)
    if not (started and ended):
        raise ValueError(f"no {first} and {last} in the page")
    return f"{before}{first}\n{text}\n{last}{after}"


def machines(results: dict[str, Any]) -> str:
    """Return dates and machines of the measurements as a list with an item per date and machine."""
    names: dict[str, list[str]] = {}
    for name, result in results.items():
        names.setdefault(f"{result['measured']}, {common.describe(result['machine'])}", []).append(name)
    return "\n".join(f"- {', '.join(measured)}: {where}." for where, measured in names.items())


def write(results: dict[str, Any]) -> None:
    """Write results to the page and the JSON file; results of other benchmarks are kept."""
    page, record = DOCS / "benchmarks.md", DOCS / "benchmarks.json"
    kept = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    text = page.read_text(encoding="utf-8")
    for name, result in results.items():
        tables = "\n".join(common.Table(**table).markdown() for table in result["tables"])
        text = replace_section(text, name, tables)
    page.write_text(replace_section(text, "machines", machines(kept | results)), encoding="utf-8")
    record.write_text(json.dumps(kept | results, indent=1) + "\n", encoding="utf-8")
    common.say(f"written: {page} and {record.name}")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*SUITE, *MORE]
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"benchmarks to run (default: all but {', '.join(MORE)}): {names}"
    )
    parser.add_argument("--quick", action="store_true", help="trial run with small sizes; docs are not changed")
    parser.add_argument("--data", default="auto", help="FER2013 in any form, or toy (default: auto)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in names]:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(names)}")
    return options


def main() -> None:
    options = parse()
    began, results, failed = time.perf_counter(), {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names or SUITE:
            common.say(f"--- {name}")
            given = ["--quick"] if options.quick else (SUITE | MORE)[name]
            data = ["--data", options.data] if name in DATA else []
            result = run(name, [*given, *data], Path(folder))
            if result is None:
                failed.append(name)
            else:
                results[name] = result
    common.say(f"{time.perf_counter() - began:.0f} s in total, on {backend.cores()} cores")
    if not options.quick:
        write(results)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
