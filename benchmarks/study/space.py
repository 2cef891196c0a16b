"""The space of the recorded study: four small stages, which two CPU cores train in minutes.

The default is the network that reaches 61 to 64% on FER2013 in ten CPU minutes with all training images. Fifteen
choices, one of them conditional, of the kinds that spaces here have; 0.1 to 1.3 million parameters.
"""

from fer_search.design import Augmentation, Design, Head, Optimisation, Plain, Residual


def design(hp):
    filters = hp.Choice("filters", [12, 8, 16])  # of the first stage; they double from stage to stage
    blocks = hp.Choice("blocks", [1, 2])  # of each later stage
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
            rotation=hp.Choice("rotation", [10, 0, 20, 30]),  # degrees either way
            zoom=hp.Choice("zoom", [0.1, 0.0, 0.2]),
            cutout=hp.Choice("cutout", [0, 8, 16]),
            mixup_alpha=hp.Choice("mixup_alpha", [0.0, 0.2, 0.4]),
            label_smoothing=hp.Choice("label_smoothing", [0.0, 0.1]),
        ),
        optimisation=Optimisation(
            learning_rate=hp.Float("learning_rate", 3e-4, 3e-2, sampling="log", default=5e-3),
            schedule=hp.Choice("schedule", ["one_cycle", "cosine", "plateau", "constant"]),
            batch_size=hp.Choice("batch_size", [64, 32, 128]),
            plateau_patience=2,  # in nine epochs the usual 5 would never act
        ),
    )


baselines = {
    "default": {},
    "plain": {"family": "plain"},
    "strided": {"downsample": "strided"},
    "turned_by_30": {"rotation": 30, "zoom": 0.2},
}
