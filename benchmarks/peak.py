"""FLOP/s of the training step as a fraction of the device's measured matrix product peak.

    python benchmarks/peak.py                     # a minute and a half on two CPU cores

The peak is measured: the fastest of several sizes of a square matrix product in the same precision on the same backend,
interleaved with the step. A step counts three times the FLOPs of the forward pass (the backward pass has two products
per forward product), for convolutions and dense layers only, with 2 FLOPs per multiply-add.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import common
import figure_1
import numpy as np
from epoch import PRECISIONS, TITLES
from step import make_step

FORWARD_AND_BACKWARD = 3


def matrix_product(size: int, precision: str, repeats: int) -> Callable[[], float]:
    """Return a function that multiplies two square matrices and returns the FLOP/s."""
    import keras

    values = np.random.default_rng(0).standard_normal((2, size, size)).astype(np.float32)
    if keras.backend.backend() == "jax":
        import jax

        a, b = (jax.device_put(v).astype(precision) for v in values)
        # On a GPU, XLA may compute float32 with fewer bits; network and product use the same setting.
        multiply, wait = jax.jit(lambda a, b: a @ b), jax.block_until_ready
    else:
        import tensorflow as tf

        a, b = (tf.cast(v, precision) for v in values)
        multiply, wait = tf.function(tf.matmul, autograph=False), lambda c: c[0, 0].numpy()
    wait(multiply(a, b))

    def compute() -> float:
        seconds = common.timed(lambda: wait([multiply(a, b) for _ in range(repeats)][-1]))
        return repeats * 2 * size**3 / seconds

    return compute


def prepare(spec: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """Return a function that runs an epoch's steps and then the matrix products."""
    from fer_search import backend

    backend.start()
    from fer_search.models.cost import count_flops

    faces = figure_1.load_faces(spec["data"], spec["images"])
    loop = figure_1.make_loop(figure_1.make_design(spec["width"], spec["batch"], spec["precision"]), faces)
    step = make_step(loop, spec["images"], spec["batch"])
    products = [matrix_product(size, spec["precision"], spec["repeats"]) for size in spec["sizes"]]
    flops = FORWARD_AND_BACKWARD * count_flops(loop.model) * spec["images"]

    def compute() -> dict[str, float]:
        seconds = step()
        return {"seconds": seconds, "step": flops / seconds, "peak": max(product() for product in products)}

    compute()
    return compute


def main() -> None:
    parser = common.parser(__doc__)
    figure_1.add_arguments(parser)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--sizes", type=int, nargs="+", help="matrix sizes (default: depend on the device)")
    options = parser.parse_args()
    if options.serve:
        spec = json.loads(options.serve)
        common.serve(lambda: prepare(spec))
        return
    began = time.perf_counter()
    figure_1.settle(options, cpu_images=512, rounds=3)
    gpu, raw, skipped = common.device().gpu, {}, []
    sizes = options.sizes or ([512] if options.quick else [4096, 8192, 16384] if gpu else [1024, 2048])
    base = {"batch": options.batch, "images": options.images, "data": options.data}
    base |= {"sizes": sizes, "repeats": 20 if gpu else 2}
    table = common.Table(
        f"The step, batch {options.batch}, as a fraction of the measured matrix peak",
        ["", "step, GFLOP/s", "peak, GFLOP/s", "fraction, %"],
    )
    for width in options.width:
        specs = {
            f"{TITLES[b]}, {p}, width {width:g}": base | {"backend": b, "precision": p, "width": width}
            for b, p in itertools.product(common.device().backends, options.precision)
            if figure_1.worth_it(b, p)
        }
        workers = common.start(specs, skipped)
        answers = figure_1.ask_in_turn(workers, options.rounds)
        for name, rounds in answers.items():
            speeds = [[answer[key] / 1e9 for answer in rounds] for key in ("step", "peak")]
            best = max(speeds[1])  # the peak is the maximum over rounds
            shares = common.spread([100 * speed / best for speed in speeds[0]])
            table.rows.append([name, str(common.spread(speeds[0])), common.number(best), str(shares)])
            workers[name].close()
        raw |= answers
    sides = ", ".join(map(str, sizes))
    table.notes.append(f"The peak is the fastest of all rounds and of matrices of {sides} rows.")
    common.say(f"{time.perf_counter() - began:.0f} s in total")
    common.report(options, [table], raw, skipped)


if __name__ == "__main__":
    main()
