"""The space of the recorded study: networks of four small stages that train in minutes on two CPU cores.

The default network reaches 61 to 64% on FER2013 in ten CPU minutes with all training images. Fifteen choices like those
of the search spaces, one of them conditional; 0.1 to 1.3 million parameters.
"""

from fer_search.design import Augmentation, Design, Head, Optimisation, Plain, Residual


def design(hp):
    filters = hp.Choice("filters", [12, 8, 16])  # first stage; doubled in every later stage
    blocks = hp.Choice("blocks", [1, 2])  # per later stage
    shared = {
        "stages": tuple((filters * 2**s,) * (1 if s == 0 else blocks) for s in range(4)),
        "downsample": hp.Choice("downsample", ["max_pool", "strided", "blur_pool"]),
        "activation": hp.Choice("activation", ["relu", "silu"]),
    }
    family = hp.Choice("family", ["residual", "plain"])
    with hp.conditional_scope("family", ["residual"]):
        shortcut = hp.Choice("shortcut", ["identity", "conv"])
    return Design(
        network=Residual(**shared, shortcut=shortcut) if family == "residual" else Plain(**shared),
        head=Head(dropout=hp.Choice("dropout", [0.2, 0.0, 0.4])),
        augmentation=Augmentation(
            flip=True,
            rotation=hp.Choice("rotation", [10, 0, 20, 30]),  # degrees in both directions
            zoom=hp.Choice("zoom", [0.1, 0.0, 0.2]),
            cutout=hp.Choice("cutout", [0, 8, 16]),
            mixup_alpha=hp.Choice("mixup_alpha", [0.0, 0.2, 0.4]),
            label_smoothing=hp.Choice("label_smoothing", [0.0, 0.1]),
        ),
        optimisation=Optimisation(
            learning_rate=hp.Float("learning_rate", 3e-4, 3e-2, sampling="log", default=5e-3),
            schedule=hp.Choice("schedule", ["one_cycle", "cosine", "plateau", "constant"]),
            batch_size=hp.Choice("batch_size", [64, 32, 128]),
            plateau_patience=2,  # the usual 5 would never take effect in nine epochs
        ),
    )


baselines = {
    "default": {},
    "plain": {"family": "plain"},
    "strided": {"downsample": "strided"},
    "turned_by_30": {"rotation": 30, "zoom": 0.2},
}
