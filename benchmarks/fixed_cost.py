"""Fixed cost of a figure_1 trial: building, tracing and compiling, for the first and the second trial of a process.

    python benchmarks/fixed_cost.py               # two minutes on two CPU cores

Each round is a fresh process that runs ``fer_search.training.trial.train`` twice with one design, for three epochs of
two steps on random pixels. The fixed cost is a trial's time minus three times its fastest later epoch: building the
network, tracing, compiling training and prediction, and writing checkpoints. JAX is run without its disk cache, with an
empty cache folder, and with the cache filled by the previous process.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common
import figure_1
import numpy as np
from epoch import PRECISIONS

EPOCHS, STEPS = 3, 2


def prepare(spec: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Return a function that runs the trial twice and returns the fixed cost of each, with the part for building."""
    from fer_search import backend

    backend.start()
    from fer_search.training.trial import Trial, TrialData, TrialHooks, train

    rng, count = np.random.default_rng(0), spec["batch"] * STEPS
    images, labels = rng.integers(256, size=(count, 48, 48), dtype=np.uint8), rng.integers(7, size=count)
    data = TrialData(images, labels, images[:7], labels[:7])
    design = figure_1.make_design(spec["width"], spec["batch"], spec["precision"])

    def once(folder: Path) -> dict[str, float]:
        built: list[float] = []
        began = time.perf_counter()
        rows = train(
            Trial(design, EPOCHS, folder, seed=0, number=0),
            data,
            TrialHooks(on_model_built=lambda model: built.append(time.perf_counter() - began)),
        )
        total = time.perf_counter() - began
        later = min(row["seconds"] for row in rows[1:])
        return {"fixed": total - EPOCHS * later, "build": built[0], "first_epoch": rows[0]["seconds"] - later}

    def compute() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            return {"seconds": 0, "first": once(Path(first)), "second": once(Path(second))}

    return compute


@contextmanager
def environments(backends: tuple[str, ...]) -> Iterator[dict[str, dict[str, str]]]:
    """Yield the environments of a round's arms by name, in the order in which they must run."""
    with tempfile.TemporaryDirectory() as folder:
        arms = {}
        if "tensorflow" in backends:
            arms["TensorFlow"] = {"KERAS_BACKEND": "tensorflow"}
        if "jax" in backends:
            jax = {"KERAS_BACKEND": "jax", "FER_SEARCH_CACHE": folder}
            arms["JAX, no cache"] = jax | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
            arms["JAX, empty cache"] = jax
            arms["JAX, filled cache"] = jax
        yield arms


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--width", type=float, nargs="+", help="network widths (default: 0.125 on a CPU, else 1 0.25)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=PRECISIONS, help="(default: the faster one on this device)")
    parser.add_argument("--rounds", type=int, help="fresh processes per arm")
    options = parser.parse_args()
    if options.serve:
        spec = json.loads(options.serve)
        common.serve(lambda: prepare(spec))
        return
    device, skipped, raw = common.device(), [], {}
    rounds = options.rounds or (1 if options.quick else 2)
    table = common.Table(
        f"Fixed seconds per trial, {rounds} fresh processes each",
        ["", "first trial", "of which building", "of which trace and compile", "second trial"],
    )
    for width in options.width or ([1.0, 0.25] if device.gpu else [0.125]):
        answers: dict[str, list[dict[str, Any]]] = {}
        for number in range(rounds):
            with environments(device.backends) as arms:
                for name, environment in arms.items():
                    spec = {"width": width, "batch": options.batch, "precision": options.precision or "auto"}
                    spec["backend"] = environment["KERAS_BACKEND"]
                    try:
                        worker = common.Worker(spec, environment)
                        answers.setdefault(f"{name}, width {width:g}", []).append(worker.ask())
                        worker.close()
                        latest = answers[f"{name}, width {width:g}"][-1]
                        common.say(f"{name}: {latest['first']['fixed']:.1f} s, then {latest['second']['fixed']:.1f} s")
                    except common.WorkerFailed as error:
                        skipped.append(f"{name}: {error}")
                        common.say(f"LEFT OUT, {skipped[-1]}")
            common.say(f"round {number + 1} of {rounds}, width {width:g}")
        for name, results in answers.items():
            parts = [[r["first"][k] for r in results] for k in ("fixed", "build", "first_epoch")]
            parts.append([r["second"]["fixed"] for r in results])
            table.rows.append([name, *(str(common.spread(values)) for values in parts)])
        raw |= answers
    common.report(options, [table], raw, skipped)


if __name__ == "__main__":
    main()
