"""Small designs and trials shared by the tests in this folder, for both backends."""

from fer_search.design import Augmentation, Design, Evaluation, Head, Optimisation, Plain, Residual
from fer_search.training.trial import Trial

NETWORK = Residual(stages=((4,),))  # for tests that need a residual network
TINY = Plain(stages=((4,),))  # takes a third of the time to trace
SMALL = Design(
    network=TINY,
    head=Head(dropout=0.2),
    augmentation=Augmentation(rotation=20, zoom=0.1, flip=True, cutout=8, mixup_alpha=0.3),
    optimisation=Optimisation(batch_size=32, learning_rate=3e-3, plateau_patience=1, precision="float32"),
)
RICH = Design(
    network=TINY,
    head=Head(dropout=0.2),
    augmentation=Augmentation(
        rotation=10, crop=42, brightness=0.1, contrast=0.2, cutout=6, cutout_count=2, erasing=0.5,
        mixup_alpha=0.4, cutmix_alpha=1.0, label_smoothing=0.1,
    ),
    optimisation=Optimisation(
        optimizer="sgd", momentum=0.9, learning_rate=0.05, weight_decay=5e-4, batch_size=32, schedule="one_cycle",
        warmup_epochs=0.5, clip_norm=1.0, ema=0.9, focal_gamma=1.0, class_weights="balanced", precision="bfloat16",
    ),
    evaluation=Evaluation(views="flip"),
)  # fmt: skip


def make_trial(folder, epochs=3, number=0, design=SMALL, **more):
    """Return a trial in a new or existing folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Trial(design=design, epochs=epochs, folder=folder, seed=1, number=number, **more)


def timeless(rows):
    """Return epoch rows without the measured seconds."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
