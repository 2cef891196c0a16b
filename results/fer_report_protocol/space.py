"""One design for the course report's protocol, which augments the validation images as the training images.

Random rotations, zooms and crops instead of the shifts of fer_8h's best design: images that the network is validated
on lose less of the face, and the network still sees them at different places.
"""

from fer_search.design import Augmentation, Design, Evaluation, Head, Optimisation, Plain


def design(hp):
    return Design(
        network=Plain(stages=((24,), (48,) * 3, (96,) * 3, (192,) * 3), activation="silu"),
        head=Head(dropout=hp.Choice("dropout", [0.2, 0.0])),
        augmentation=Augmentation(flip=True, rotation=15, zoom=0.1, crop=44, label_smoothing=0.1),
        optimisation=Optimisation(
            optimizer="adam",
            learning_rate=0.0145,  # the highest of the cycle
            batch_size=64,
            schedule="one_cycle",
            low_resolution=32,  # in the first half of the epochs
            ema=0.999,
        ),
        evaluation=Evaluation(views="flip"),
    )


baselines = {"crops": {}}
