"""Small networks for CPUs and demonstrations: an epoch of 2,000 images takes seconds on two cores.

    fer-search run --space search_spaces/tiny.py --max-epochs 8 --max-trials 12 --tuner bayesian

At most 0.4 million parameters and 0.25 GFLOP per image (median 0.1 million and 0.03). What helps here need not help in
large networks.
"""

from fer_search.design import Augmentation, Design, Head, Optimisation, Plain, Residual


def design(hp):
    filters = hp.Choice("filters", [16, 8, 24])  # of the first stage; doubled in each later stage
    stages = tuple((filters * 2**s,) * (1 if s == 0 else 2) for s in range(3))
    downsample = hp.Choice("downsample", ["max_pool", "strided"])
    residual = hp.Choice("family", ["residual", "plain"]) == "residual"
    return Design(
        # the first stage, at full resolution, costs most: a stem and one block are enough
        network=Residual(stages=stages, downsample=downsample, shortcut="identity", stem=filters)
        if residual
        else Plain(stages=stages, downsample=downsample),
        head=Head(dropout=hp.Choice("dropout", [0.0, 0.3])),
        augmentation=Augmentation(
            flip=True,
            rotation=hp.Choice("rotation", [10, 0, 30]),  # degrees; 30 in the course report
            zoom=hp.Choice("zoom", [0.1, 0.0, 0.2]),
            mixup_alpha=hp.Choice("mixup_alpha", [0.0, 0.3]),
        ),
        optimisation=Optimisation(
            learning_rate=hp.Float("learning_rate", 5e-4, 5e-3, sampling="log", default=2e-3),
            schedule="one_cycle",  # the most effective schedule for few epochs (Smith & Topin 2018)
            batch_size=32,  # more steps per epoch than large batches would give on few images
        ),
    )


baselines = {
    "small_residual": {},
    "small_plain": {"family": "plain"},
    "strided": {"downsample": "strided"},
    "turned_by_30": {"rotation": 30, "zoom": 0.2},
}
