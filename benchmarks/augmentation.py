"""Throughput of augmentation alone: ours, Keras' preprocessing layers, ImageDataGenerator and OpenCV.

    python benchmarks/augmentation.py              # about a minute on two CPU cores

The augmentation is the report's: rotation of 30 degrees, zoom of 0.2 and flips, in batches, from uint8 to float32, on
all cores. Ours is ``fer_search.augment``, compiled as in the training engines and including the random draws on the
host. OpenCV's ``warpAffine`` gets precomputed maps and one thread per core.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import common
import figure_1
import numpy as np
from epoch import has_gpu, preprocessing_layers

from fer_search.backend import cores


def ours(spec: dict[str, Any], faces: figure_1.Faces) -> Callable[[], Any]:
    """Return a function that draws an epoch's augmentations, copies them to the device and augments all batches."""
    import keras

    from fer_search import backend

    backend.start()
    from fer_search.augment import augment, draw_epoch

    augmentation = figure_1.make_design(1.0, spec["batch"], "float32").augmentation
    steps = spec["images"] // spec["batch"]
    rows = np.arange(steps * spec["batch"], dtype=np.int32).reshape(steps, -1)
    labels = np.zeros((spec["batch"], 7), np.float32)
    rng = np.random.default_rng(0)
    if spec["backend"] == "jax":
        import jax

        images = jax.device_put(faces.images)

        @jax.jit
        def augment_batch(images: Any, plan: Any, rows: Any, k: Any) -> Any:
            return augment(images[rows[k]], labels, {name: values[k] for name, values in plan.items()})[0]

        def compute() -> None:
            plan, placed = jax.device_put(draw_epoch(rng, *rows.shape, augmentation)), jax.device_put(rows)
            jax.block_until_ready([augment_batch(images, plan, placed, k) for k in range(steps)][-1])
    else:
        import tensorflow as tf

        from fer_search.training.tensorflow_engine import _prepare

        images, placed = tf.constant(faces.images), tf.constant(rows)

        @tf.function(autograph=False)
        def augment_epoch(plan: dict[str, Any]) -> Any:
            def body(k: Any, checked: Any) -> tuple[Any, Any]:
                now = {name: values[k] for name, values in plan.items()}
                return k + 1, checked + _prepare(tf.gather(images, placed[k]), labels, now)[0][0, 0, 0, 0]

            return tf.while_loop(lambda k, _: k < steps, body, (0, 0.0), parallel_iterations=1)[1]

        def compute() -> None:
            plan = draw_epoch(rng, *rows.shape, augmentation)
            augment_epoch({name: tf.constant(values) for name, values in plan.items()}).numpy()

    assert keras.backend.backend() == spec["backend"]
    return compute


def layers(spec: dict[str, Any], faces: figure_1.Faces) -> Callable[[], Any]:
    """Return a function that runs an epoch of Keras' layers in a tf.data map on all cores."""
    import tensorflow as tf

    has_gpu()
    augment = preprocessing_layers()
    dataset = tf.data.Dataset.from_tensor_slices(faces.images[..., None]).batch(spec["batch"])
    dataset = dataset.map(lambda x: augment(x, training=True), num_parallel_calls=cores()).prefetch(2)
    choices = tf.data.Options()
    choices.autotune.enabled = False
    dataset = dataset.with_options(choices)
    return lambda: [None for _ in dataset]


def generator(spec: dict[str, Any], faces: figure_1.Faces) -> Callable[[], Any]:
    """Return a function that runs an epoch of the legacy generator with one thread per core."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    made = ImageDataGenerator(rotation_range=30, shear_range=0.2, zoom_range=0.2, horizontal_flip=True)
    flow = made.flow(faces.images[..., None].astype(np.float32), batch_size=spec["batch"], seed=0)

    def compute() -> None:
        with ThreadPoolExecutor(spec["threads"]) as pool:
            list(pool.map(flow.__getitem__, range(len(flow))))

    return compute


def opencv(spec: dict[str, Any], faces: figure_1.Faces) -> Callable[[], Any]:
    """Return a function that runs an epoch of warpAffine, image by image."""
    import cv2

    from fer_search.augment.geometry import draw_maps

    cv2.setNumThreads(1)  # we use our own threads
    augmentation = figure_1.make_design(1.0, spec["batch"], "float32").augmentation
    maps = draw_maps(np.random.default_rng(0), len(faces.images), augmentation).astype(np.float64)
    swapped = maps[:, ::-1][:, :, [1, 0, 2]]  # OpenCV's coordinates are (column, row)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def warp(first: int) -> np.ndarray:
        out = np.empty((spec["batch"], *faces.images.shape[1:]), np.float32)
        for k in range(spec["batch"]):
            image, map_ = faces.images[first + k], swapped[first + k]
            out[k] = cv2.warpAffine(image, map_, image.shape[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE)
        return out

    def compute() -> None:
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(warp, range(0, len(faces.images), spec["batch"])))

    return compute


ARMS = {"ours": ours, "layers": layers, "generator": generator, "opencv": opencv}


def prepare(spec: dict[str, Any]) -> Callable[[], float]:
    """Prepare an arm and warm it up."""
    if spec["backend"] == "jax" and spec["arm"] != "ours":
        raise ValueError(spec)
    compute = ARMS[spec["arm"]](spec, figure_1.load_faces(spec["data"], spec["images"]))
    compute()
    return lambda: common.timed(compute)


def specs_of(backends: tuple[str, ...], base: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the specs of all arms by name, including those that need TensorFlow (reported where it is missing)."""
    any_backend = {"backend": backends[0]}
    specs = {f"ours, {b}": base | {"arm": "ours", "backend": b} for b in backends}
    specs["Keras' layers, tf.data"] = base | {"arm": "layers", "backend": "tensorflow"}
    for threads in sorted({1, cores()}):
        name = f"ImageDataGenerator, threads: {threads}"
        specs[name] = base | any_backend | {"arm": "generator", "threads": threads}
    specs[f"OpenCV, threads: {cores()}"] = base | any_backend | {"arm": "opencv"}
    return specs


def main() -> None:
    parser = common.parser(__doc__)
    figure_1.add_arguments(parser)
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    if options.serve:
        spec = json.loads(options.serve)
        common.serve(lambda: prepare(spec))
        return
    figure_1.settle(options, cpu_images=16_384, rounds=7)
    images, skipped = max(1, options.images // options.batch) * options.batch, []
    base = {"batch": options.batch, "images": images, "data": options.data}
    workers = common.start(specs_of(common.device().backends, base), skipped)
    seconds = common.interleave(options.rounds, workers)
    for worker in workers.values():
        worker.close()
    mine = [name for name in seconds if name.startswith("ours")]
    table = common.Table(
        f"Augmentation alone, batch {options.batch}, {images:,} images, {cores()} cores",
        ["", "images/s (min to max)", *(f"speed-up of {name}" for name in mine)],
    )
    for name, durations in seconds.items():
        table.rows.append([name, str(common.spread([images / s for s in durations]))])
        table.rows[-1] += [str(common.ratios(durations, seconds[own])) for own in mine]
    table.notes.append("Keras' layers omit the report's shear of 0.2 degrees, which would need an additional layer.")
    common.report(options, [table], seconds, skipped)


if __name__ == "__main__":
    main()
