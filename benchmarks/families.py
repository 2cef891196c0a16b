"""Training step times of network families for small images, relative to the residual network of cpu.py.

    python benchmarks/families.py                     # three minutes on two CPU cores
    python benchmarks/families.py --precision float32

All networks are trained by fer-search's engine on random images, in one process and interleaved, so that a busy machine
does not favour any of them. Reported are medians over rounds and ratios within rounds. FLOPs are those of the forward
pass of one image. Families that are not in ``fer_search.design`` are built here from Keras layers:

- separable: two depthwise-separable convolutions and a shortcut (Chollet 2017, arXiv:1610.02357);
- inverted residual: expansion 4, depthwise, squeeze-and-excitation, projection (Sandler et al. 2018, arXiv:1801.04381;
  Howard et al. 2019, arXiv:1905.02244); fused: the first two as one 3x3 convolution (Tan & Le 2021, arXiv:2104.00298);
- ResNet-D: average pooling before the shortcut's 1x1 convolution (He et al. 2019, arXiv:1812.01187).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import common
import numpy as np

from fer_search import backend

WIDTHS = (16, 32, 64, 128)


def own(network: Any) -> Callable[[Any], Any]:
    """Return a function that applies the stages of a ``fer_search.design`` network."""
    from fer_search.design import Plain
    from fer_search.models.plain import plain_stages
    from fer_search.models.residual import residual_stages

    return lambda x: plain_stages(x, network) if isinstance(network, Plain) else residual_stages(x, network)


def conv_bn(x: Any, filters: int, kernel: int = 3, strides: int = 1, relu: bool = True) -> Any:
    import keras

    from fer_search.models.normalization import BatchNormalization

    x = BatchNormalization()(keras.layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x))
    return keras.layers.ReLU()(x) if relu else x


def depthwise_bn(x: Any, strides: int = 1, relu: bool = True) -> Any:
    import keras

    from fer_search.models.normalization import BatchNormalization

    x = keras.layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(x)
    x = BatchNormalization()(x) if relu else x
    return keras.layers.ReLU()(x) if relu else x


def squeeze_excite(x: Any, units: int) -> Any:
    import keras

    scale = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    scale = keras.layers.Dense(units, activation="relu")(scale)
    return keras.layers.Multiply()([x, keras.layers.Dense(x.shape[-1], activation="sigmoid")(scale)])


def separable(x: Any, strided_stem: bool = False) -> Any:
    """Apply a stem and stages of one block (twice depthwise and pointwise) with max-pooling between them."""
    import keras

    x = conv_bn(x, 16, strides=2 if strided_stem else 1)
    for s, filters in enumerate(WIDTHS[strided_stem:]):
        x = keras.layers.MaxPooling2D(2)(x) if s else x
        y = conv_bn(depthwise_bn(x, relu=False), filters, 1)
        y = conv_bn(depthwise_bn(y, relu=False), filters, 1, relu=False)
        shortcut = x if x.shape[-1] == filters else conv_bn(x, filters, 1, relu=False)
        x = keras.layers.ReLU()(keras.layers.Add()([y, shortcut]))
    return x


def inverted(x: Any, excite: bool = True, fused: bool = False) -> Any:
    """Apply a stem and stages with stride 2, with two blocks per stage, or one if fused."""
    import keras

    x = conv_bn(x, 16, strides=2)
    for s, filters in enumerate((16, 32, 64) if fused else (16, 24, 48)):
        for b in range(1 if fused else 2):
            strides = 2 if s and not b else 1
            wide = 4 * x.shape[-1]
            y = conv_bn(x, wide, strides=strides) if fused else depthwise_bn(conv_bn(x, wide, 1), strides)
            y = squeeze_excite(y, max(8, wide // 16)) if excite else y
            y = conv_bn(y, filters, 1, relu=False)
            x = keras.layers.Add()([x, y]) if y.shape == x.shape else y
    return conv_bn(x, 128, 1)


def resnet_d(x: Any) -> Any:
    """Apply the residual network of cpu.py with strided blocks whose shortcuts pool before the projection."""
    import keras

    for s, filters in enumerate(WIDTHS):
        y = conv_bn(conv_bn(x, filters, strides=2 if s else 1), filters, relu=False)
        shortcut = keras.layers.AveragePooling2D(2)(x) if s else x
        x = keras.layers.ReLU()(keras.layers.Add()([y, conv_bn(shortcut, filters, 1, relu=False)]))
    return x


def families() -> dict[str, Callable[[Any], Any]]:
    """Return functions that build each network's layers before the head; the first network is the reference."""
    from fer_search.design import Plain, Residual

    stages = tuple((filters,) for filters in WIDTHS)
    halved = {"stem": 32, "stem_downsample": "max_pool", "shortcut": "identity"}
    return {
        "residual": own(Residual(stages=stages, shortcut="identity")),
        "plain (cpu.py's default)": own(Plain(stages=((16,), (32, 32), (64, 64), (128, 128)))),
        "residual, pooled stem": own(Residual(stages=stages[1:], **halved)),
        "residual, pooled stem, a stage more": own(Residual(stages=(*stages[1:], (256,)), **halved)),
        "residual, strided": own(Residual(stages=stages, shortcut="identity", downsample="strided")),
        "residual, ResNet-D": resnet_d,
        "residual, blur-pooling": own(Residual(stages=stages, shortcut="identity", downsample="blur_pool")),
        "residual, squeeze-and-excitation": own(Residual(stages=stages, shortcut="identity", squeeze_excitation=4)),
        "separable": separable,
        "separable, strided stem": lambda x: separable(x, strided_stem=True),
        "inverted residual": inverted,
        "inverted residual without excitation": lambda x: inverted(x, excite=False),
        "inverted residual, fused": lambda x: inverted(x, fused=True),
    }


def make_arm(stages: Callable[[Any], Any], options: Any, steps: int) -> tuple[Any, common.Round]:
    """Return a network, and a function that trains it for some steps and returns the seconds per step."""
    import keras

    from fer_search.design import Head, Optimisation
    from fer_search.models import make_loss
    from fer_search.models.head import apply_head
    from fer_search.models.precision import dtype_policy
    from fer_search.training.batches import draw_batches
    from fer_search.training.engines import make_engine

    batch, side = options.batch, options.side
    rng, count = np.random.default_rng(0), batch * steps
    with dtype_policy(options.precision):
        pixels = keras.Input((side, side, 1))
        x = stages(keras.layers.Rescaling(1 / 255)(pixels))
        model = keras.Model(pixels, apply_head(x, Head(dropout=0.2), 7))
    model.compile(keras.optimizers.Adam(5e-3), "categorical_crossentropy")
    engine = make_engine(model, make_loss(Optimisation(), reduction="none"))
    images, labels = rng.integers(0, 256, (count, side, side)), rng.integers(0, 7, count)
    rows, weights = draw_batches(rng, count, batch)
    rates = np.full(len(rows), 5e-3, np.float32)
    draws = {"rows": rows, "weights": weights, "loss_weights": weights, "learning_rates": rates}
    data = engine.put(images.astype(np.uint8)), engine.put(labels.astype(np.int32))
    engine.begin_epoch(data, draws, rng)
    engine.train(0, 1)  # traces and compiles

    def compute() -> float:
        began = time.perf_counter()
        engine.train(0, steps)
        return (time.perf_counter() - began) / steps

    return model, compute


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=48, help="side of the images in pixels (default: 48)")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    rounds, steps = options.rounds or (1 if options.quick else 5), 1 if options.quick else 8
    backend.start()
    from fer_search.models.cost import count_flops

    models, arms = {}, {}
    for name, stages in families().items():
        models[name], arms[name] = make_arm(stages, options, steps)
    seconds = common.interleave(rounds, arms)
    reference = next(iter(arms))
    title = f"A training step in {options.precision}, batch {options.batch}, {options.side} pixels"
    table = common.Table(title, ["", "parameters", "MFLOP per image", "ms per step", "relative to residual"])
    for name, durations in seconds.items():
        cost = [f"{models[name].count_params():,}", f"{count_flops(models[name]) / 1e6:.1f}"]
        ratio = common.ratios(durations, seconds[reference])
        table.rows.append([name, *cost, f"{1000 * statistics.median(durations):.0f}", str(ratio)])
    common.report(options, [table], seconds)


if __name__ == "__main__":
    main()
