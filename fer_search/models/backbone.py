"""Backbones: raw pixels through a keras.applications network, frozen as the design says."""

from __future__ import annotations

from pathlib import Path

import keras
from keras import layers

from fer_search.design import Backbone
from fer_search.models.applications import NETWORKS, layer_stages, make_network
from fer_search.models.channels import RESCALE, Preprocessing, sum_first_kernel, to_channels
from fer_search.models.weights import find_weights, load_weights


def apply_backbone(
    x: keras.KerasTensor, backbone: Backbone, weights_dir: Path | None = None, pretrained: bool = True
) -> keras.KerasTensor:
    """Resize and preprocess pixels and apply a backbone, which becomes one layer (a ``keras.Model``) of the model.

    Args:
        x: Pixels, float32 (n, height, width, channels) from 0 to 255.
        backbone: The backbone to build.
        weights_dir: Folder that may hold the weights; see ``fer_search.models.weights.find_weights``.
        pretrained: False leaves the weights random even where the design wants ImageNet's.

    Returns:
        Feature maps (n, h, w, c).

    Raises:
        UserError: The weights are unavailable or do not fit.
    """
    size = (backbone.input_size, backbone.input_size)
    if x.shape[1:3] != size:
        resize = layers.Resizing(*size, interpolation="bilinear", dtype="float32", name="resize")
        # The layer defaults to training=True and passes that on to all layers after it: BN in exported models.
        x = resize(x, training=False)
    preprocessing = NETWORKS[backbone.name][1] if backbone.preprocessing == "own" else RESCALE
    x = to_channels(x, backbone.channels, preprocessing)
    network = make_network(backbone, x.shape[-1])
    if pretrained and backbone.weights == "imagenet":
        load_pretrained(network, backbone, preprocessing, find_weights(backbone, weights_dir))
    freeze(network, backbone)
    return network(x)


def load_pretrained(network: keras.Model, backbone: Backbone, preprocessing: Preprocessing, path: Path) -> None:
    """Load a weights file, of a network with three input channels, into one with one or three."""
    if network.input_shape[-1] == 3:
        load_weights(network, path)
        return
    colour = make_network(backbone)
    load_weights(colour, path)
    sum_first_kernel(colour, network, preprocessing)


def freeze(network: keras.Model, backbone: Backbone) -> None:
    """Freeze the stages before ``train_from``, and BN layers whose statistics are to stay.

    A frozen BN layer keeps statistics, scale and offset and runs in inference mode. With random weights ("none") there
    are no statistics worth keeping, so trained stages learn them regardless of ``frozen_statistics``. Dropout in frozen
    stages is disabled (EfficientNetV2 drops whole branches), so that frozen features are deterministic.
    """
    stages = layer_stages(network)
    keep = backbone.frozen_statistics and backbone.weights != "none"
    for layer in network.layers:
        frozen = not 1 <= backbone.train_from <= stages[layer.name]
        if frozen and isinstance(layer, layers.Dropout):
            layer.rate = 0.0
        layer.trainable = not (frozen or (keep and isinstance(layer, layers.BatchNormalization)))
