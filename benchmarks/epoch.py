"""Images a second of one training epoch of figure_1 with the report's augmentation: ours and stock Keras pipelines.

    python benchmarks/epoch.py                     # on two CPU cores ten minutes
    python benchmarks/epoch.py --batch 64 --data fer2013.csv

Ours is ``fer_search.training.loop.EpochLoop.run_epoch`` as a search calls it, the drawing of the epoch's random numbers
included. The stock pipelines are

    generator   the legacy ImageDataGenerator, which Keras 3 still ships under keras.src.legacy, feeding model.fit
    layers      tf.data with Keras' preprocessing layers, feeding model.fit

with stock Keras layers in the network, where ours has its fused normalisation, without rescaling or shear (0.2 degrees)
of their own, and in their best setting: without XLA on a CPU (Keras' default, jit_compile="auto", turns it on, which is
slower there), and each with the better of two ways of feeding, tried in the warm-up. Every arm is a process of its own;
they take turns.
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
TEST_IMAGES, EPOCHS = 7178, 50  # of the report


def ours(spec: dict[str, Any]) -> Callable[[], float]:
    """Get ready the product's own loop."""
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
    """Get ready a stock Keras pipeline: build, then warm up with each way of feeding, and keep the faster one."""
    import keras

    cpu = not has_gpu()
    model = stock_model(spec, jit_compile=False if cpu and spec["backend"] == "tensorflow" else "auto")
    faces = figure_1.load_faces(spec["data"], spec["images"])
    labels = np.eye(7, dtype=np.float32)[faces.labels]
    make_feeds, batch = {"generator": generator_feeds, "layers": layer_feeds}[spec["arm"]], spec["batch"]

    def fit(feed: Any) -> float:
        return common.timed(lambda: model.fit(feed, epochs=1, verbose=0))

    for feed in make_feeds(faces.images[:batch], labels[:batch], batch).values():
        fit(feed)  # one step compiles
    half = max(1, len(labels) // batch // 2) * batch
    tries = make_feeds(faces.images[:half], labels[:half], batch)
    way = min(tries, key=lambda name: fit(tries[name]))
    feed = make_feeds(faces.images, labels, batch)[way]

    def compute() -> float:
        return fit(feed)

    compute.about = {"fed": way, "keras": keras.__version__}
    return compute


def has_gpu() -> bool:
    """Return whether the backend has a GPU; TensorFlow is told to leave memory there to the other arms."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    return bool(tf.config.list_physical_devices("GPU"))


def stock_model(spec: dict[str, Any], jit_compile: bool | str) -> Any:
    """Return figure_1 of stock Keras layers alone, compiled as one would for ``fit``."""
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
    """Return the legacy generator, by one thread that takes turns with the step and by one for each core."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    from fer_search.backend import cores

    generator = ImageDataGenerator(rotation_range=30, zoom_range=0.2, horizontal_flip=True)
    feeds = {}
    for workers in (1, max(2, cores())):
        flow = generator.flow(images[..., None].astype(np.float32), labels, batch_size=batch, seed=0)
        flow.workers = workers
        feeds[f"by {workers} workers"] = flow
    return feeds


def layer_feeds(images: np.ndarray, labels: np.ndarray, batch: int) -> dict[str, Any]:
    """Return Keras' preprocessing layers in a tf.data map, with tf.data's autotuning and without."""
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
    return {"with autotuning": feed(auto, auto, True), f"by {cores()} calls at a time": feed(cores(), 2, False)}


def layer_batches(images: np.ndarray, labels: np.ndarray, batch: int) -> Any:
    """Return the preprocessing layers called on batch after batch by the backend itself."""
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
    """Return the report's augmentation as Keras' own layers, which tf.data takes under either backend."""
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
    """Return name -> spec of all arms; on a CPU the stock pipelines run on TensorFlow only, which is faster there."""
    specs = {}
    for backend, precision, arm in itertools.product(backends, base["precisions"], ARMS):
        if arm == "ours" or gpu or backend == "tensorflow":
            spec = base | {"backend": backend, "precision": precision, "arm": arm}
            specs[f"{arm}, {TITLES[backend]}, {precision}"] = figure_1.fewer(spec)
    return specs


def table_of(title: str, seconds: dict[str, list[float]], about: dict[str, Any], images: int) -> common.Table:
    """Return images a second, and ratios to the fastest stock pipeline of each precision, round by round."""
    table = common.Table(title, ["", "images/s (min to max)", *(f"speed-up over stock, {p}" for p in PRECISIONS)])
    for name, taken in seconds.items():
        row = [name, str(common.spread([images / s for s in taken]))]
        for precision in PRECISIONS:
            stock_arms = [n for n in seconds if not n.startswith("ours") and n.endswith(precision)]
            best = min(stock_arms, key=lambda n: common.spread(seconds[n]).median, default=None)
            row.append(str(common.ratios(seconds[best], taken)) if best else "-")
        table.rows.append(row)
    if said := fed(about):
        table.notes.append(f"Fed: {said}.")
    return table


def fed(about: dict[str, Any]) -> str:
    return "; ".join(f"{name} {said['fed']}" for name, said in about.items() if "fed" in said)


def fifty_epochs(spec: dict[str, Any], rounds: int, skipped: list[str]) -> tuple[common.Table, dict[str, list[float]]]:
    """Time epochs that validate as the report's, and return what 50 of them take."""
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
        [[name, str(common.spread([EPOCHS * s for s in taken]))] for name, taken in seconds.items()],
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
        images = max(1, options.images // batch) * batch  # whole batches, so that no pipeline compiles a tail's step
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
    common.say(f"{time.perf_counter() - began:.0f} s in all")
    common.report(options, tables, raw, skipped)


if __name__ == "__main__":
    main()
