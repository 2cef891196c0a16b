"""A first search: small networks that train in seconds on two CPU cores, starting from what a beginner would write.

    make search                                                                  # this space, a few minutes
    fer-search run --space search_spaces/tiny.py --limit-train 3000 --max-epochs 6 --time-budget 5min

The default is an ordinary convolutional network, a convolution with batch normalisation, ReLU and max-pooling three
times, trained with Keras' default Adam (learning rate 1e-3, constant) on images as they are. What a search can improve
in so few steps is the schedule, the learning rate, the batch size and the network. At most 1.2 million parameters and
0.25 GFLOP an image. For accuracy on real faces take cpu.py: what pays in 500 steps need not pay in 5,000.
"""

from fer_search.design import Augmentation, Design, Head, Optimisation, Plain, Residual


def design(hp):
    filters = hp.Choice("filters", [16, 8, 24, 32])  # of the first stage; they double from stage to stage
    residual = hp.Choice("family", ["plain", "residual"]) == "residual"
    return Design(
        network=Residual(stages=tuple((filters * 2**s,) for s in range(4)), shortcut="identity")
        if residual
        else Plain(stages=tuple((filters * 2**s,) for s in range(3))),
        head=Head(dropout=hp.Choice("dropout", [0.2, 0.0, 0.5])),
        augmentation=Augmentation(
            flip=hp.Boolean("flip", default=False),
            rotation=hp.Choice("rotation", [0, 10, 20]),  # degrees either way
            zoom=hp.Choice("zoom", [0.0, 0.1, 0.2]),
        ),
        optimisation=Optimisation(
            learning_rate=hp.Float("learning_rate", 3e-4, 1e-2, sampling="log", default=1e-3),
            # one_cycle gets furthest in few epochs (Smith & Topin 2018)
            schedule=hp.Choice("schedule", ["constant", "one_cycle"]),
            batch_size=hp.Choice("batch_size", [64, 32]),
        ),
    )


baselines = {"default": {}}
