"""Throughput of a training epoch of figure_1 with the report's augmentation: ours and stock Keras pipelines.

    python benchmarks/epoch.py                     # ten minutes on two CPU cores
    python benchmarks/epoch.py --batch 64 --data fer2013.csv

Ours is ``fer_search.training.loop.EpochLoop.run_epoch`` as a search calls it, including the epoch's random draws. The
stock pipelines are

    generator   the legacy ImageDataGenerator, which Keras 3 still ships under keras.src.legacy, feeding model.fit
    layers      tf.data with Keras' preprocessing layers, feeding model.fit

with stock Keras layers in the network, where ours has its fused normalisation, and without separate rescaling or shear
(0.2 degrees). They run in their best configuration: without XLA on a CPU (Keras' default, jit_compile="auto", enables
it, which is slower there), and with the faster of two input settings, chosen in the warm-up. Every arm runs in its own
process, and the arms are interleaved.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import common
import figure_1
import numpy as np

PRECISIONS = ("float32", "bfloat16")
TITLES = {"tensorflow": "TensorFlow", "jax": "JAX"}
TEST_IMAGES, EPOCHS = 7178, 50  # as in the report


def ours(spec: dict[str, Any]) -> Callable[[], float]:
    """Prepare fer-search's training loop."""
    from fer_search import backend

    backend.start()
    design = figure_1.make_design(spec["width"], spec["batch"], spec["precision"])
    faces = figure_1.load_faces(spec["data"], spec["images"])
    loop = figure_1.make_loop(design, faces, spec.get("validated", figure_1.VALIDATED))
    epochs = itertools.count(1)

    def compute() -> float:
        return common.timed(lambda: loop.run_epoch(next(epochs), [])) * spec.get("scale", 1)

    compute()
    return compute


def stock(spec: dict[str, Any]) -> Callable[[], float]:
    """Prepare a stock Keras pipeline: build it, warm up with each input setting and keep the faster one."""
    import keras

    cpu = not has_gpu()
    model = stock_model(spec, jit_compile=False if cpu and spec["backend"] == "tensorflow" else "auto")
    faces = figure_1.load_faces(spec["data"], spec["images"])
    labels = np.eye(7, dtype=np.float32)[faces.labels]
    make_feeds, batch = {"generator": generator_feeds, "layers": layer_feeds}[spec["arm"]], spec["batch"]

    def fit(feed: Any) -> float:
        return common.timed(lambda: model.fit(feed, epochs=1, verbose=0))

    for feed in make_feeds(faces.images[:batch], labels[:batch], batch).values():
        fit(feed)  # compiles
    half = max(1, len(labels) // batch // 2) * batch
    tries = make_feeds(faces.images[:half], labels[:half], batch)
    way = min(tries, key=lambda name: fit(tries[name]))
    feed = make_feeds(faces.images, labels, batch)[way]

    def compute() -> float:
        return fit(feed)

    compute.about = {"fed": way, "keras": keras.__version__}
    return compute


def has_gpu() -> bool:
    """Return whether the backend has a GPU; TensorFlow is set to leave GPU memory for the other arms."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    return bool(tf.config.list_physical_devices("GPU"))


def stock_model(spec: dict[str, Any], jit_compile: bool | str) -> Any:
    """Return figure_1 built only of stock Keras layers, compiled for ``fit``."""
    import keras

    from fer_search.models.build import build_network
    from fer_search.models.normalization import BatchNormalization

    def stock(layer: Any) -> Any:
        kind = keras.layers.BatchNormalization if isinstance(layer, BatchNormalization) else type(layer)
        return kind.from_config(layer.get_config())

    network = build_network(figure_1.make_design(spec["width"], spec["batch"], spec["precision"]))
    model = keras.models.clone_model(network, clone_function=stock)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"], jit_compile=jit_compile)
    return model


def generator_feeds(images: np.ndarray, labels: np.ndarray, batch: int) -> dict[str, Any]:
    """Return the legacy generator, without workers and with one worker per core."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    from fer_search.backend import cores

    generator = ImageDataGenerator(rotation_range=30, zoom_range=0.2, horizontal_flip=True)
    feeds = {}
    for workers in (1, max(2, cores())):
        flow = generator.flow(images[..., None].astype(np.float32), labels, batch_size=batch, seed=0)
        flow.workers = workers
        feeds[f"by {workers} worker" + "s" * (workers > 1)] = flow
    return feeds


def layer_feeds(images: np.ndarray, labels: np.ndarray, batch: int) -> dict[str, Any]:
    """Return Keras' preprocessing layers in a tf.data map, with and without autotuning."""
    if importlib.util.find_spec("tensorflow") is None:
        return {"without tf.data, as TensorFlow is not installed": layer_batches(images, labels, batch)}
    import tensorflow as tf

    from fer_search.backend import cores

    augment = preprocessing_layers()

    def feed(parallel: int, ahead: int, tuned: bool) -> Any:
        dataset = tf.data.Dataset.from_tensor_slices((images[..., None], labels)).shuffle(len(labels)).batch(batch)
        dataset = dataset.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=parallel).prefetch(ahead)
        choices = tf.data.Options()
        choices.autotune.enabled = tuned
        return dataset.with_options(choices)

    auto = tf.data.AUTOTUNE
    return {"with autotuning": feed(auto, auto, True), f"with {cores()} parallel calls": feed(cores(), 2, False)}


def layer_batches(images: np.ndarray, labels: np.ndarray, batch: int) -> Any:
    """Return batches on which the backend itself calls the preprocessing layers."""
    import keras

    augment = preprocessing_layers()

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return len(labels) // batch

        def __getitem__(self, k: int) -> tuple[Any, np.ndarray]:
            rows = slice(k * batch, (k + 1) * batch)
            return augment(images[rows, ..., None].astype(np.float32), training=True), labels[rows]

    return Batches()


def preprocessing_layers() -> Any:
    """Return the report's augmentation as Keras layers, which work in tf.data with either backend."""
    import keras

    return keras.layers.Pipeline(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(30 / 360, fill_mode="nearest"),
            keras.layers.RandomZoom((-0.2, 0.2), (-0.2, 0.2), fill_mode="nearest"),
        ]
    )


ARMS = {"ours": ours, "generator": stock, "layers": stock}


def specs_of(backends: tuple[str, ...], gpu: bool, base: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the specs of all arms by name; on a CPU stock pipelines run only on TensorFlow, which is faster there."""
    specs = {}
    for backend, precision, arm in itertools.product(backends, base["precisions"], ARMS):
        if arm == "ours" or gpu or backend == "tensorflow":
            spec = base | {"backend": backend, "precision": precision, "arm": arm}
            specs[f"{arm}, {TITLES[backend]}, {precision}"] = figure_1.fewer(spec)
    return specs


def table_of(title: str, seconds: dict[str, list[float]], about: dict[str, Any], images: int) -> common.Table:
    """Return images per second and the speed-up over the fastest stock pipeline of each precision, within rounds."""
    table = common.Table(title, ["", "images/s (min to max)", *(f"speed-up over stock, {p}" for p in PRECISIONS)])
    for name, durations in seconds.items():
        row = [name, str(common.spread([images / s for s in durations]))]
        for precision in PRECISIONS:
            stock_arms = [n for n in seconds if not n.startswith("ours") and n.endswith(precision)]
            best = min(stock_arms, key=lambda n: common.spread(seconds[n]).median, default=None)
            row.append(str(common.ratios(seconds[best], durations)) if best else "-")
        table.rows.append(row)
    if settings := fed(about):
        table.notes.append(f"Input: {settings}.")
    return table


def fed(about: dict[str, Any]) -> str:
    return "; ".join(f"{name} {answer['fed']}" for name, answer in about.items() if "fed" in answer)


def fifty_epochs(spec: dict[str, Any], rounds: int, skipped: list[str]) -> tuple[common.Table, dict[str, list[float]]]:
    """Time epochs with the report's validation and return the duration of 50 of them."""
    specs = {
        f"ours, {TITLES[b]}, {p}": spec | {"backend": b, "precision": p, "arm": "ours", "validated": TEST_IMAGES}
        for b, p in itertools.product(common.device().backends, spec["precisions"])
    }
    workers = common.start(specs, skipped)
    seconds = common.interleave(rounds, workers)
    table = common.Table(
        f"{EPOCHS} epochs on {spec['images']:,} images at width {spec['width']:g}, batch {spec['batch']}, validating "
        f"{TEST_IMAGES:,} images in each, after compilation",
        ["", "seconds"],
        [[name, str(common.spread([EPOCHS * s for s in durations]))] for name, durations in seconds.items()],
    )
    for worker in workers.values():
        worker.close()
    return table, seconds


def main() -> None:
    parser = common.parser(__doc__)
    figure_1.add_arguments(parser)
    parser.add_argument("--batch", type=int, nargs="+", help="(default: 64 256)")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    options = parser.parse_args()
    if options.serve:
        spec = json.loads(options.serve)
        common.serve(lambda: ARMS[spec["arm"]](spec))
        return
    began = time.perf_counter()
    figure_1.settle(options, cpu_images=1024, rounds=3)
    options.batch = options.batch or ([64] if options.quick else [64, 256])
    device, skipped, tables, raw = common.device(), [], [], {}
    for width, batch in itertools.product(options.width, options.batch):
        # full batches, so that no pipeline compiles a step for a remainder
        images = max(1, options.images // batch) * batch
        title = f"Training epochs at width {width:g}, batch {batch}, {images:,} images"
        common.say(title)
        base = {"width": width, "batch": batch, "images": images, "data": options.data, "precisions": options.precision}
        workers = common.start(specs_of(device.backends, device.gpu, base), skipped)
        seconds = common.interleave(options.rounds, workers)
        tables.append(table_of(title, seconds, {name: worker.about for name, worker in workers.items()}, images))
        raw[title] = seconds
        for worker in workers.values():
            worker.close()
        if device.gpu and batch == max(options.batch):
            table, seconds = fifty_epochs(base | {"images": options.images}, options.rounds, skipped)
            tables.append(table)
            raw[table.title] = seconds
    common.say(f"{time.perf_counter() - began:.0f} s in total")
    common.report(options, tables, raw, skipped)


if __name__ == "__main__":
    main()
