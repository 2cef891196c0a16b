"""Small networks for a CPU and for demonstrations: an epoch of 2,000 images takes seconds on two cores.

    fer-search run --space search_spaces/tiny.py --max-epochs 8 --max-trials 12 --tuner bayesian

At most 0.4 million parameters and 0.25 GFLOP an image forward (median 0.1 million and 0.03). Choices that pay here need
not pay in large networks.
"""

from fer_search.design import Augmentation, Design, Head, Optimisation, Plain, Residual


def design(hp):
    filters = hp.Choice("filters", [16, 8, 24])  # of the first stage; they double from stage to stage
    stages = tuple((filters * 2**s,) * (1 if s == 0 else 2) for s in range(3))
    downsample = hp.Choice("downsample", ["max_pool", "strided"])
    residual = hp.Choice("family", ["residual", "plain"]) == "residual"
    return Design(
        # a first stage at 48 px costs most: a stem and one block of it are enough for a small network
        network=Residual(stages=stages, downsample=downsample, shortcut="identity", stem=filters)
        if residual
        else Plain(stages=stages, downsample=downsample),
        head=Head(dropout=hp.Choice("dropout", [0.0, 0.3])),
        augmentation=Augmentation(
            flip=True,
            rotation=hp.Choice("rotation", [10, 0, 30]),  # degrees either way; the report turned by 30
            zoom=hp.Choice("zoom", [0.1, 0.0, 0.2]),
            mixup_alpha=hp.Choice("mixup_alpha", [0.0, 0.3]),
        ),
        optimisation=Optimisation(
            learning_rate=hp.Float("learning_rate", 5e-4, 5e-3, sampling="log", default=2e-3),
            schedule="one_cycle",  # of all schedules the one that gets furthest in few epochs (Smith & Topin 2018)
            batch_size=32,  # BN's moving averages need some hundreds of steps, more than large batches give here
        ),
    )


baselines = {
    "small_residual": {},
    "small_plain": {"family": "plain"},
    "strided": {"downsample": "strided"},
    "turned_by_30": {"rotation": 30, "zoom": 0.2},
}
