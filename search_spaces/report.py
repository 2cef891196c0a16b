"""The space of the course report "Trabajo final RNA".

Its choices: max pooling or strided convolution, cutout, mixup, the size of the network and of its head; and, instead
of its own network, ResNet152V2 or ResNet50 with ImageNet weights, with two ways of turning grey images into RGB. All
else is fixed as in the report: rotations up to 30 degrees, zoom 0.2, flips, shear_range=0.2 (which ImageDataGenerator
takes as degrees, so next to nothing), division by 255 for every network, a learning rate of 1e-3 reduced tenfold after
5 epochs without improvement, batch size 256, 50 epochs.

    fer-search run --space search_spaces/report.py                                       # everything, on a GPU
    fer-search run --space search_spaces/report.py --fix network=residual                # only from scratch
    fer-search run --space search_spaces/report.py --fix network=residual --width 0.125  # the same at 1/64 of the cost

Cost of Figure 1 at width 1: 11.5 million parameters, 24 GFLOP per training image; over
an hour per epoch on two CPU cores.
"""

from fer_search.design import Augmentation, Backbone, Design, Head, Optimisation, Residual


def design(hp):
    network = hp.Choice("network", ["residual", "backbone"])
    with hp.conditional_scope("network", ["backbone"]):
        if network == "backbone":
            return from_imagenet(hp)
    with hp.conditional_scope("network", ["residual"]):
        return from_scratch(hp)


def from_scratch(hp):
    filters = hp.Choice("filters", [64, 32, 48])  # in the first blocks; doubled in each of the next three groups
    blocks = hp.Int("blocks", 1, 3, default=2)  # per filter count
    dense = hp.Choice("dense", [0, 256, 512])  # units of a hidden layer after pooling; 0 for none, as in Figure 1
    mixup = hp.Choice("mixup", ["none", "beta", "70/30"])  # Beta(0.3, 0.3) in its notebook, 70/30 in its text
    return Design(
        network=Residual(
            stages=((filters,) * blocks + (2 * filters,) * blocks, (4 * filters,) * blocks, (8 * filters,) * blocks),
            downsample=hp.Choice("downsample", ["max_pool", "strided"]),
        ),
        head=Head(dense=(dense,) if dense else (), dropout=hp.Choice("dropout", [0.0, 0.3, 0.5])),
        augmentation=augmentation(
            cutout=hp.Choice("cutout", [0, 8, 16]),  # 8 in its text, 16 clipped at the borders in its pictures
            mixup_alpha=0.3 if mixup == "beta" else 0.0,
            mixup_share=0.7 if mixup == "70/30" else 0.0,
        ),
        optimisation=optimisation("adam"),
    )


def from_imagenet(hp):
    wide = hp.Choice("backbone_head", ["512-256", "512"]) == "512-256"
    return Design(
        network=Backbone(
            name=hp.Choice("backbone", ["ResNet152V2", "ResNet50"]),
            channels=hp.Choice("channels", ["rgb", "conv"]),
            preprocessing="rescale",
        ),
        head=Head(dense=(512, 256), dropout=(0.3, 0.2, 0.3)) if wide else Head(dense=(512,), dropout=(0.3, 0.2)),
        augmentation=augmentation(),
        optimisation=optimisation(hp.Choice("optimizer", ["adam", "sgd"])),
    )


def augmentation(**more):
    return Augmentation(rotation=30, shear=0.2, zoom=0.2, flip=True, **more)


def optimisation(optimizer):
    return Optimisation(optimizer=optimizer, learning_rate=1e-3, batch_size=256, schedule="plateau")


# The report's seven rows. Choices not named here take their defaults, the first values above.
baselines = {
    "figure_1": {},
    "strided_conv": {"downsample": "strided"},
    "cutout_8": {"cutout": 8},
    "mixup_strided": {"downsample": "strided", "mixup": "beta"},
    "rgb_resnet152v2": {"network": "backbone"},
    "conv_resnet152v2": {"network": "backbone", "channels": "conv"},
    "rgb_resnet50_sgd": {"network": "backbone", "backbone": "ResNet50", "backbone_head": "512", "optimizer": "sgd"},
}

# Accuracies published elsewhere. The report's rows were measured on its 7,178 test images, randomly augmented, which it
# also tuned on (as --protocol report does); the notebooks are those that it compares with.
references = {
    "figure_1": 0.6779,
    "strided_conv": 0.678,
    "cutout_8": 0.676,
    "mixup_strided": 0.685,
    "rgb_resnet152v2": 0.385,
    "conv_resnet152v2": 0.334,
    "rgb_resnet50_sgd": 0.25,
    "Kaggle notebook, CNN": 0.6522,
    "Kaggle notebook, DenseNet169": 0.6425,
    "Kaggle notebook, CNN (2)": 0.6167,
    "Kaggle notebook, CNN (3)": 0.6136,
}
