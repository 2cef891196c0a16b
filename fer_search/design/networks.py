"""Network families: the layers before the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fer_search.design.checks import (
    IMAGE_SIZE,
    all_numbers,
    broadcast_value,
    check,
    check_bool,
    check_int,
    check_number,
    check_one_of,
    is_int,
    is_sequence,
)
from fer_search.design.custom import Custom

DOWNSAMPLING = ("max_pool", "average_pool", "strided", "blur_pool")
SHORTCUTS = ("conv", "conv_bn", "identity")
NORMALIZATIONS = ("batch", "layer", "group", "none")
ACTIVATIONS = ("relu", "leaky_relu", "elu", "silu", "gelu")
CHANNELS = ("rgb", "conv", "sum")
WEIGHTS = ("imagenet", "none")
PREPROCESSING = ("own", "rescale")
MAX_STAGES = IMAGE_SIZE.bit_length() - 1  # 48, 24, 12, 6, 3, 1 pixels a side

Stages = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Residual:
    """A residual network in stages. The defaults are Figure 1 of the course report.

    A block of Figure 1 with f filters is Conv3x3, BN, ReLU, Conv3x3, BN, plus a shortcut that is always a Conv1x1 (with
    bias, without BN), then ReLU. Each stage after the first halves the resolution.

    Args:
        stages: Filters of each block, for each stage.
        downsample: How stages after the first halve the resolution. "max_pool" and "average_pool" put 2x2 pooling
            before the stage, "blur_pool" a 3x3 low-pass filter with stride 2 (Zhang 2019, arXiv:1904.11486); "strided"
            gives stride 2 to the first convolution and the shortcut of its first block.
        width: Factor on every filter count (rounded, at least 1). A factor of 0.125 costs about 1/64.
        stem: Filters of a 3x3 convolution with normalisation and activation before the first stage, as in the ResNets
            for CIFAR (He et al. 2016, arXiv:1512.03385, 4.2); 0 for none, as in Figure 1.
        stem_downsample: How the stem halves the resolution, as ``downsample``, between its convolution and its
            normalisation; "none" keeps it, as the stems for CIFAR do. A stage less at full resolution is a quarter
            cheaper on a CPU.
        shortcut: "conv" is Figure 1's; "conv_bn" adds normalisation; "identity" has no layer where shapes match and a
            Conv1x1 with normalisation where they differ (He et al., option B).
        pre_activation: Put normalisation and activation before each convolution (He et al. 2016, arXiv:1603.05027).
        normalization: "batch", "layer" (over channels), "group" (at most 32 groups; Wu & He 2018, arXiv:1803.08494) or
            "none".
        activation: Activation of the blocks.
        squeeze_excitation: Reduction ratio r of squeeze-and-excitation in each block (Hu et al. 2018, arXiv:1709.01507,
            who use 16); 0 for none.
        dropout: Dropout rate after each stage, one number for all stages or one per stage.
        noise: Standard deviation of Gaussian noise added to the input during training, for grey values in [0, 1].
    """

    stages: Stages = ((64, 64, 128, 128), (256, 256), (512, 512))
    downsample: str = "max_pool"
    width: float = 1.0
    stem: int = 0
    stem_downsample: str = "none"
    shortcut: str = "conv"
    pre_activation: bool = False
    normalization: str = "batch"
    activation: str = "relu"
    squeeze_excitation: int = 0
    dropout: tuple[float, ...] = (0.0,)
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_one_of(self, "stem_downsample", ("none", *DOWNSAMPLING))
        halved = self.stem_downsample != "none"
        _check_stages(self, MAX_STAGES - halved)
        _check_common(self)
        check_int(self, "stem", 0, 4096, "filters from 0 (none) to 4096")
        check(self, "stem_downsample", not halved or self.stem > 0, "none where there is no stem")
        check_one_of(self, "shortcut", SHORTCUTS)
        check_bool(self, "pre_activation")
        check_int(self, "squeeze_excitation", 0, 1024)

    def filters(self) -> Stages:
        """Return the filters of every block of every stage, scaled by ``width``."""
        return _scaled(self.stages, self.width)


@dataclass(frozen=True)
class Plain:
    """A plain network in stages, like VGG (Simonyan & Zisserman 2015, arXiv:1409.1556).

    Each layer is convolution, normalisation and activation; each stage ends by halving the resolution.

    Args:
        stages: Filters of each convolution, for each stage. The default is the network of Khaireddin & Chen 2021
            (arXiv:2105.03588).
        kernels: Kernel size of the convolutions, one number for all stages or one per stage.
        downsample: How the end of each stage halves the resolution, as in ``Residual``; "strided" gives stride 2 to its
            last convolution.
        width: As in ``Residual``.
        normalization: As in ``Residual``.
        activation: As in ``Residual``.
        dropout: As in ``Residual``; dropout follows the downsampling.
        noise: As in ``Residual``.
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
        _check_stages(self, MAX_STAGES)
        _check_common(self)
        count = len(self.stages)
        object.__setattr__(self, "kernels", broadcast_value(self.kernels, count))
        check(self, "kernels", len(self.kernels) == count, f"one number, or {count}, one per stage")
        check(self, "kernels", all(is_int(k, 1, 15) for k in self.kernels), "sides from 1 to 15")

    def filters(self) -> Stages:
        """Return the filters of every convolution of every stage, scaled by ``width``."""
        return _scaled(self.stages, self.width)


@dataclass(frozen=True)
class BackboneInfo:
    """What a network of ``keras.applications`` supports.

    Args:
        smallest: Minimum side of its input, pixels.
        alphas: Width multipliers for which ImageNet weights exist.
        stages: Number of stages; a stage begins where the resolution halves (ConvNeXt's first reduces it fourfold).
    """

    smallest: int = 32
    alphas: tuple[float, ...] = (1.0,)
    stages: int = 5


BACKBONES = {
    "ResNet152V2": BackboneInfo(),
    "ResNet50": BackboneInfo(),
    "DenseNet169": BackboneInfo(),
    "VGG16": BackboneInfo(),
    "InceptionResNetV2": BackboneInfo(smallest=75),
    "MobileNet": BackboneInfo(alphas=(0.25, 0.5, 0.75, 1.0)),
    "MobileNetV2": BackboneInfo(alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4)),
    "MobileNetV3Small": BackboneInfo(alphas=(0.75, 1.0)),
    "MobileNetV3Large": BackboneInfo(alphas=(0.75, 1.0)),
    "EfficientNetV2B0": BackboneInfo(),
    "ConvNeXtTiny": BackboneInfo(stages=4),
}


@dataclass(frozen=True)
class Backbone:
    """A network of ``keras.applications`` without its top, and how grey images become its input.

    Args:
        name: Key of BACKBONES.
        weights: "imagenet", or "none" for random initial weights (then train all of it: frozen random features carry
            little information).
        input_size: Side to which images are resized, bilinearly, on the device; 48 to 224 pixels, and at least what the
            network accepts (InceptionResNetV2: 75).
        channels: How grey images become three channels. "rgb" repeats the image three times; "conv" puts a trained 3x3
            convolution before the network; "sum" sums the first kernel over its input channels, which is equivalent to
            "rgb" at a third of that layer's cost (except at the borders, where the network's preprocessing treats
            channels differently). Colour images are used as they are with "rgb".
        preprocessing: "own" is the preprocessing of the ImageNet training; "rescale" divides by 255 regardless of the
            network, as the course report did.
        alpha: Width multiplier of the MobileNets.
        train_from: First stage that is trained, counting from 1; a stage begins where the resolution halves, 5 in all
            (ConvNeXtTiny: 4). 1 trains the whole network, 0 freezes all of it.
        frozen_epochs: Number of initial epochs in which only the head is trained (keras.io/guides/transfer_learning);
            BN statistics are still updated unless they are frozen.
        learning_rate_factor: Factor on the learning rate for the trained stages.
        frozen_statistics: Keep BN as pretrained, i.e. its means, variances, scales and offsets, in trained stages too
            (the usual advice for fine-tuning; keras.io/guides/transfer_learning). Has no effect with weights "none",
            where there are no pretrained statistics to keep.
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
        info = BACKBONES[self.name]
        check_one_of(self, "weights", WEIGHTS)
        low = max(IMAGE_SIZE, info.smallest)
        check_int(self, "input_size", low, 224, f"pixels from {low} to 224 for {self.name}")
        check_one_of(self, "channels", CHANNELS)
        check_one_of(self, "preprocessing", PREPROCESSING)
        check(self, "alpha", self.alpha in info.alphas, f"one of {', '.join(map(str, info.alphas))} for {self.name}")
        check_int(self, "train_from", 0, info.stages, f"a stage from 1 to {info.stages}, or 0, for {self.name}")
        check_int(self, "frozen_epochs", 0, 10000, "epochs from 0 to 10000")
        check_number(self, "learning_rate_factor", 1e-6, 1)
        check_bool(self, "frozen_statistics")


Network = Residual | Plain | Backbone | Custom
FAMILIES: dict[str, type] = {  # by their names in JSON
    "residual": Residual,
    "plain": Plain,
    "backbone": Backbone,
    "custom": Custom,
}


def _check_stages(owner: Any, max_stages: int) -> None:
    stages = owner.stages if is_sequence(owner.stages) else ()
    object.__setattr__(owner, "stages", tuple(tuple(stage) if is_sequence(stage) else () for stage in stages))
    check(owner, "stages", 1 <= len(owner.stages) <= max_stages, f"1 to {max_stages} stages, each a list of filters")
    check(owner, "stages", all(owner.stages), "at least one block in every stage")
    check(owner, "stages", all(is_int(f, 1, 4096) for s in owner.stages for f in s), "filters from 1 to 4096")


def _check_common(owner: Any) -> None:
    check_one_of(owner, "downsample", DOWNSAMPLING)
    check_number(owner, "width", 0.001, 16)
    check_one_of(owner, "normalization", NORMALIZATIONS)
    check_one_of(owner, "activation", ACTIVATIONS)
    count = len(owner.stages)
    object.__setattr__(owner, "dropout", broadcast_value(owner.dropout, count))
    check(owner, "dropout", len(owner.dropout) == count, f"one number, or {count}, one per stage")
    check(owner, "dropout", all_numbers(owner.dropout, 0, 0.95), "numbers from 0 to 0.95")
    check_number(owner, "noise", 0, 1)


def _scaled(stages: Stages, width: float) -> Stages:
    return tuple(tuple(max(1, round(f * width)) for f in stage) for stage in stages)
