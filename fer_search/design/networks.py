"""The families of networks: what comes before the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fer_search.design.checks import (
    IMAGE_SIZE,
    all_real,
    check,
    check_flag,
    check_one_of,
    check_real,
    check_whole,
    is_sequence,
    is_whole,
    spread,
)

DOWNSAMPLING = ("max_pool", "average_pool", "strided", "blur_pool")
SHORTCUTS = ("conv", "conv_bn", "identity")
NORMALIZATIONS = ("batch", "layer", "group", "none")
ACTIVATIONS = ("relu", "leaky_relu", "elu", "silu", "gelu")
CHANNELS = ("rgb", "conv", "sum")
WEIGHTS = ("imagenet", "none")
PREPROCESSING = ("own", "rescale")
MOST_HALVINGS = IMAGE_SIZE.bit_length() - 1  # 48, 24, 12, 6, 3, 1 pixels a side

Stages = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Residual:
    """A residual network in stages; its defaults are Figure 1 of the report.

    Figure 1's block of f filters is Conv3x3, BN, ReLU, Conv3x3, BN, plus a shortcut that is always a Conv1x1 (with
    bias, without BN), then ReLU. Each stage halves the resolution of the one before it.

    Args:
        stages: for each stage, the filters of each of its blocks.
        downsample: how a later stage halves the resolution. "max_pool" and "average_pool" put a 2x2 pooling before it,
            "blur_pool" a low-pass filter of 3x3 with stride 2 (Zhang 2019, arXiv:1904.11486); "strided" gives its first
            block stride 2 in the first convolution and in the shortcut.
        width: factor on every filter count (rounded, at least 1). 0.125 is about 64 times cheaper than 1.
        stem: filters of a 3x3 convolution with normalisation and activation before the first stage, as in the ResNets
            for CIFAR (He et al. 2016, arXiv:1512.03385, 4.2); 0 for none, as in Figure 1.
        shortcut: "conv" is Figure 1's; "conv_bn" adds normalisation to it; "identity" has nothing where shapes stay and
            a Conv1x1 with normalisation where they change (He et al., option B).
        pre_activation: normalisation and activation before each convolution (He et al. 2016, arXiv:1603.05027).
        normalization: "batch", "layer" (over channels), "group" (at most 32 groups; Wu & He 2018, arXiv:1803.08494) or
            "none".
        activation: of the blocks.
        squeeze_excitation: r of the squeeze-excitation in each block, which squeezes to filters / r (Hu et al. 2018,
            arXiv:1709.01507; they use 16); 0 for none.
        dropout: share of a stage's outputs dropped after it, one number for all stages or one for each.
        noise: standard deviation of Gaussian noise on the input while training, grey values from 0 to 1.
    """

    stages: Stages = ((64, 64, 128, 128), (256, 256), (512, 512))
    downsample: str = "max_pool"
    width: float = 1.0
    stem: int = 0
    shortcut: str = "conv"
    pre_activation: bool = False
    normalization: str = "batch"
    activation: str = "relu"
    squeeze_excitation: int = 0
    dropout: tuple[float, ...] = (0.0,)
    noise: float = 0.0

    def __post_init__(self) -> None:
        _check_stages(self, MOST_HALVINGS)
        _check_common(self)
        check_whole(self, "stem", 0, 4096, "filters from 0 (none) to 4096")
        check_one_of(self, "shortcut", SHORTCUTS)
        check_flag(self, "pre_activation")
        check_whole(self, "squeeze_excitation", 0, 1024)

    def filters(self) -> Stages:
        """Return the filters of every block of every stage, after ``width``."""
        return _scaled(self.stages, self.width)


@dataclass(frozen=True)
class Plain:
    """A plain network in stages, as the VGG networks (Simonyan & Zisserman 2015, arXiv:1409.1556).

    A layer is Conv, normalisation, activation; each stage ends by halving the resolution.

    Args:
        stages: for each stage, the filters of each of its convolutions. The default is the network of Khaireddin & Chen
            2021 (arXiv:2105.03588).
        kernels: side of the convolutions' kernels, one number for all stages or one for each.
        downsample: at the end of each stage, as in ``Residual``; "strided" gives its last convolution stride 2.
        width, normalization, activation, dropout, noise: as in ``Residual``; dropout comes after the halving.
    """

    stages: Stages = ((64, 64), (128, 128), (256, 256), (512, 512))
    kernels: tuple[int, ...] = (3,)
    downsample: str = "max_pool"
    width: float = 1.0
    normalization: str = "batch"
    activation: str = "relu"
    dropout: tuple[float, ...] = (0.0,)
    noise: float = 0.0

    def __post_init__(self) -> None:
        _check_stages(self, MOST_HALVINGS)
        _check_common(self)
        object.__setattr__(self, "kernels", spread(self.kernels, len(self.stages)))
        check(self, "kernels", len(self.kernels) == len(self.stages), f"one number, or {len(self.stages)}, one a stage")
        check(self, "kernels", all(is_whole(k, 1, 15) for k in self.kernels), "sides from 1 to 15")

    def filters(self) -> Stages:
        """Return the filters of every convolution of every stage, after ``width``."""
        return _scaled(self.stages, self.width)


@dataclass(frozen=True)
class Known:
    """What can be asked of a network of ``keras.applications``.

    Args:
        smallest: side of the smallest input that it can take, pixels.
        alphas: its width factors for which there are ImageNet weights.
        stages: how many stages it has; each begins where the resolution halves (ConvNeXt's first quarters it).
    """

    smallest: int = 32
    alphas: tuple[float, ...] = (1.0,)
    stages: int = 5


BACKBONES = {
    "ResNet152V2": Known(),
    "ResNet50": Known(),
    "DenseNet169": Known(),
    "VGG16": Known(),
    "InceptionResNetV2": Known(smallest=75),
    "MobileNet": Known(alphas=(0.25, 0.5, 0.75, 1.0)),
    "MobileNetV2": Known(alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4)),
    "MobileNetV3Small": Known(alphas=(0.75, 1.0)),
    "MobileNetV3Large": Known(alphas=(0.75, 1.0)),
    "EfficientNetV2B0": Known(),
    "ConvNeXtTiny": Known(stages=4),
}


@dataclass(frozen=True)
class Backbone:
    """A network of ``keras.applications`` without its top, and how grey images become its input.

    Args:
        name: one of BACKBONES.
        weights: "imagenet", or "none" for random ones (then train all of it: frozen random features say very little).
        input_size: the images are resized to this side, bilinearly, on the device; 48 (as they are) to 224 pixels, and
            not below what the network can take (InceptionResNetV2: 75).
        channels: "rgb" repeats the grey image three times; "conv" puts a trained 3x3 convolution to three channels
            before the network; "sum" adds up the first kernel over its channels, which gives what "rgb" gives for a
            third of the arithmetic in that layer (but for the borders, where the network's own preprocessing treats
            the channels differently).
        preprocessing: "own" is what the network was trained with on ImageNet; "rescale" divides by 255 whatever the
            network, as the report did.
        alpha: the width factor of the MobileNets.
        train_from: the first stage that is trained; stages are counted from 1 and one begins wherever the resolution
            halves, 5 in all (ConvNeXtTiny: 4). 1 trains the whole network, 0 keeps all of it frozen.
        frozen_epochs: the trained stages stay as they are for so many epochs first, while the head learns
            (keras.io/guides/transfer_learning); their BN's statistics move all the same unless they are frozen.
        learning_rate_factor: the trained stages learn at this share of the learning rate.
        frozen_statistics: keep BN as it was trained, its means and variances and with them its scales and offsets, in
            trained stages too (the usual advice for fine-tuning; keras.io/guides/transfer_learning). Random weights
            (weights "none") have no statistics to keep: their trained stages learn them all the same.
    """

    name: str = "MobileNet"
    weights: str = "imagenet"
    input_size: int = IMAGE_SIZE
    channels: str = "rgb"
    preprocessing: str = "own"
    alpha: float = 1.0
    train_from: int = 0
    frozen_epochs: int = 0
    learning_rate_factor: float = 0.1
    frozen_statistics: bool = True

    def __post_init__(self) -> None:
        check_one_of(self, "name", BACKBONES)
        known = BACKBONES[self.name]
        check_one_of(self, "weights", WEIGHTS)
        low = max(IMAGE_SIZE, known.smallest)
        check_whole(self, "input_size", low, 224, f"pixels from {low} to 224 for {self.name}")
        check_one_of(self, "channels", CHANNELS)
        check_one_of(self, "preprocessing", PREPROCESSING)
        check(self, "alpha", self.alpha in known.alphas, f"one of {', '.join(map(str, known.alphas))} for {self.name}")
        check_whole(self, "train_from", 0, known.stages, f"a stage from 1 to {known.stages}, or 0, for {self.name}")
        check_whole(self, "frozen_epochs", 0, 10000, "epochs from 0 to 10000")
        check_real(self, "learning_rate_factor", 1e-6, 1)
        check_flag(self, "frozen_statistics")


Network = Residual | Plain | Backbone
FAMILIES: dict[str, type] = {"residual": Residual, "plain": Plain, "backbone": Backbone}  # a network's name in JSON


def _check_stages(owner: Any, most: int) -> None:
    stages = owner.stages if is_sequence(owner.stages) else ()
    object.__setattr__(owner, "stages", tuple(tuple(stage) if is_sequence(stage) else () for stage in stages))
    check(owner, "stages", 1 <= len(owner.stages) <= most, f"1 to {most} stages, each a list of filters")
    check(owner, "stages", all(owner.stages), "at least one block in every stage")
    check(owner, "stages", all(is_whole(f, 1, 4096) for s in owner.stages for f in s), "filters from 1 to 4096")


def _check_common(owner: Any) -> None:
    check_one_of(owner, "downsample", DOWNSAMPLING)
    check_real(owner, "width", 0.001, 16)
    check_one_of(owner, "normalization", NORMALIZATIONS)
    check_one_of(owner, "activation", ACTIVATIONS)
    count = len(owner.stages)
    object.__setattr__(owner, "dropout", spread(owner.dropout, count))
    check(owner, "dropout", len(owner.dropout) == count, f"one number, or {count}, one a stage")
    check(owner, "dropout", all_real(owner.dropout, 0, 0.95), "numbers from 0 to 0.95")
    check_real(owner, "noise", 0, 1)


def _scaled(stages: Stages, width: float) -> Stages:
    return tuple(tuple(max(1, round(f * width)) for f in stage) for stage in stages)
