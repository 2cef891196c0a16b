"""The space of ``micro_table.csv``: 8,640 designs of very small networks whose epochs take seconds on one core."""

from fer_search.design import Augmentation, Design, Head, Optimisation, Plain, Residual


def design(hp):
    filters = hp.Choice("filters", [8, 6, 12])
    blocks = hp.Choice("blocks", [1, 2])
    stages = tuple((filters * 2**s,) * (1 if s == 0 else blocks) for s in range(4))
    downsample = hp.Choice("downsample", ["max_pool", "strided"])
    residual = hp.Choice("family", ["residual", "plain"]) == "residual"
    return Design(
        network=Residual(stages=stages, downsample=downsample, shortcut="identity")
        if residual
        else Plain(stages=stages, downsample=downsample),
        head=Head(dropout=hp.Choice("dropout", [0.0, 0.3])),
        augmentation=Augmentation(
            flip=True,
            rotation=hp.Choice("rotation", [10, 0, 30]),
            zoom=0.1,
            mixup_alpha=0.3 if hp.Choice("mixup", ["none", "beta"]) == "beta" else 0.0,
            cutout=hp.Choice("cutout", [0, 8, 16]),
        ),
        optimisation=Optimisation(
            learning_rate=hp.Choice("learning_rate", [0.002, 0.0005, 0.001, 0.005, 0.01]),
            schedule=hp.Choice("schedule", ["plateau", "one_cycle"]),
            batch_size=32,
        ),
    )


baselines = {
    "default": {},
    "strided": {"downsample": "strided"},
    "cutout_8": {"cutout": 8},
    "mixup_strided": {"downsample": "strided", "mixup": "beta"},
}
