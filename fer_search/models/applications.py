"""The networks of keras.applications used as backbones, without their top and without built-in preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import applications, layers

from fer_search.design import Backbone
from fer_search.models.channels import CENTRED, SIGNED, STANDARD

# Each network, and the preprocessing that Keras' ImageNet weights were trained with. Networks with built-in
# preprocessing (MobileNetV3, EfficientNetV2, ConvNeXt) are built without it, so that ours is the only one.
NETWORKS = {
    "ResNet152V2": (applications.ResNet152V2, SIGNED),
    "ResNet50": (applications.ResNet50, CENTRED),
    "DenseNet169": (applications.DenseNet169, STANDARD),
    "VGG16": (applications.VGG16, CENTRED),
    "InceptionResNetV2": (applications.InceptionResNetV2, SIGNED),
    "MobileNet": (applications.MobileNet, SIGNED),
    "MobileNetV2": (applications.MobileNetV2, SIGNED),
    "MobileNetV3Small": (applications.MobileNetV3Small, SIGNED),
    "MobileNetV3Large": (applications.MobileNetV3Large, SIGNED),
    "EfficientNetV2B0": (applications.EfficientNetV2B0, STANDARD),
    "ConvNeXtTiny": (applications.ConvNeXtTiny, STANDARD),
}


def make_network(backbone: Backbone, channels: int = 3) -> keras.Model:
    """Build a backbone's network with random weights.

    Args:
        backbone: Name, width multiplier (alpha) and input size.
        channels: Number of input channels.
    """
    make: Callable[..., keras.Model] = NETWORKS[backbone.name][0]
    options: dict[str, Any] = {}
    if backbone.name.startswith("MobileNet"):
        options["alpha"] = backbone.alpha
    if backbone.name.startswith(("MobileNetV3", "EfficientNet", "ConvNeXt")):
        options["include_preprocessing"] = False
    size = backbone.input_size
    return make(include_top=False, weights=None, input_shape=(size, size, channels), **options)


def layer_stages(network: keras.Model) -> dict[str, int]:
    """Return the stage of each layer, counted from 1 for the first layers with weights.

    A stage begins with every layer that reduces the resolution, in any branch.
    """
    reductions: dict[str, int] = {}  # number of strided layers between the input and each layer's output
    for operation in network.operations:
        if isinstance(operation, layers.InputLayer):
            reductions[operation.name] = 0
            continue
        inputs = keras.tree.flatten(operation.input)
        before = max(reductions[x._keras_history.operation.name] for x in inputs)
        reductions[operation.name] = before + _is_strided(operation)
    with_weights = {reductions[layer.name] for layer in network.layers if layer.weights}
    return {name: max(1, sum(w <= count for w in with_weights)) for name, count in reductions.items()}


def _is_strided(operation: Any) -> bool:
    """Return whether an operation (or one inside a Sequential) is strided; shapes would also count undone padding."""
    parts = operation.layers if isinstance(operation, keras.Sequential) else [operation]
    return any(max(keras.tree.flatten(getattr(part, "strides", 1))) > 1 for part in parts)
