"""Which ImageNet network, at which resolution, fine-tuned from which stage: all backbones that fer-search supports.

modern.py only has the most promising backbones; this space has every network that the course report and its references
name, and popular small ones. Choices that a network does not support are conditional: only the MobileNets have a width
multiplier, and InceptionResNetV2 needs at least 75 pixels.

    fer-search run --space search_spaces/backbones.py --max-epochs 20                           # a GPU
    fer-search run --space search_spaces/backbones.py --fix backbone=MobileNet --max-epochs 6   # a CPU, overnight
    fer-search run --space search_spaces/backbones.py --weights-dir FOLDER                      # local weight files

Measured on FER2013 with MobileNet, alpha 0.25: frozen 0.27 at 48 pixels, 0.44 at 96, 0.49 at 224; fine-tuned at 96
pixels for 3 epochs 0.58. Resolution matters first, then fine-tuning.
"""

from fer_search.design import Augmentation, Backbone, Design, Head, Optimisation

ALPHAS = {  # width multipliers with ImageNet weights in Keras; the first is the default
    "MobileNet": [1.0, 0.25, 0.5, 0.75],
    "MobileNetV2": [1.0, 0.35, 0.5, 0.75, 1.3, 1.4],
    "MobileNetV3Small": [1.0, 0.75],
    "MobileNetV3Large": [1.0, 0.75],
}
OTHERS = ["EfficientNetV2B0", "ConvNeXtTiny", "ResNet50", "ResNet152V2", "DenseNet169", "VGG16", "InceptionResNetV2"]
NAMES = [*ALPHAS, *OTHERS]


def design(hp):
    name = hp.Choice("backbone", NAMES)
    tuned = hp.Choice("tuned", ["all", "late stages", "nothing"])
    return Design(
        network=Backbone(
            name=name,
            input_size=input_size(hp, name),
            channels=hp.Choice("channels", ["rgb", "sum", "conv"]),  # sum: rgb with a cheaper first layer
            preprocessing=hp.Choice("preprocessing", ["own", "rescale"]),  # rescale: as the course report did
            alpha=alpha(hp, name),
            train_from=train_from(hp, name, tuned),
            # An untrained head's gradients would destroy pretrained features (keras.io/guides/transfer_learning).
            frozen_epochs=hp.Choice("frozen_epochs", [0, 1, 5]),
            learning_rate_factor=hp.Choice("learning_rate_factor", [0.3, 0.1, 1.0]),  # relative to the head
            frozen_statistics=hp.Boolean("frozen_statistics", default=False),  # ImageNet's differ from faces'
        ),
        head=head(hp),
        augmentation=Augmentation(flip=True, rotation=hp.Choice("rotation", [10, 0, 30])),  # 30 in the course report
        optimisation=Optimisation(
            optimizer=hp.Choice("optimizer", ["adamw", "sgd"]),
            learning_rate=hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3),
            batch_size=64,
            schedule="cosine",
        ),
    )


def input_size(hp, name):
    with hp.conditional_scope("backbone", [n for n in NAMES if n != "InceptionResNetV2"]):
        if name != "InceptionResNetV2":
            return hp.Choice("input_size", [96, 48, 128, 224])
    with hp.conditional_scope("backbone", ["InceptionResNetV2"]):
        return hp.Choice("inception_size", [96, 75, 128, 224])


def alpha(hp, name):
    for mobile, alphas in ALPHAS.items():
        with hp.conditional_scope("backbone", [mobile]):
            if name == mobile:
                return hp.Choice(f"{mobile}_alpha", alphas)
    return 1.0


def train_from(hp, name, tuned):
    with hp.conditional_scope("tuned", ["late stages"]):
        if tuned == "late stages":
            return hp.Choice("first_stage", [3, 2, 4])  # every backbone has at least four stages
    return 1 if tuned == "all" else 0


HEADS = {  # units of the dense layers; dropout before and after each
    "small": ((), (0.2,)),
    "report": ((512, 256), (0.3, 0.2, 0.3)),
    "notebook": ((256, 512, 1024), (0.0, 0.3, 0.5, 0.5)),
}


def head(hp):
    kind = hp.Choice("head", list(HEADS))
    return Head(dense=HEADS[kind][0], dropout=HEADS[kind][1], batch_norm=kind == "report")


_notebook = {"input_size": 48, "head": "notebook", "optimizer": "sgd", "learning_rate": 1e-3, "rotation": 0}
baselines = {
    "mobilenet_96": {},
    "mobilenet_96_frozen": {"tuned": "nothing"},
    # Our reading of the Kaggle notebook: first frozen, then fully trained, with SGD at 1e-3.
    "densenet169_notebook": {"backbone": "DenseNet169", "frozen_epochs": 5, "learning_rate_factor": 1.0} | _notebook,
}

references = {"densenet169_notebook": 0.6425}
