"""The backbones: grey pixels in, a network of keras.applications, frozen as far as the design wants."""

from __future__ import annotations

from pathlib import Path

import keras
from keras import layers

from fer_search.design import IMAGE_SIZE, Backbone
from fer_search.models.applications import NETWORKS, layer_stages, make_network
from fer_search.models.channels import RESCALE, Preprocessing, sum_first_kernel, to_channels
from fer_search.models.weights import find_weights, load_weights


def apply_backbone(
    x: keras.KerasTensor, backbone: Backbone, weights_dir: Path | None = None, pretrained: bool = True
) -> keras.KerasTensor:
    """Resize and preprocess pixels, float32 (n, 48, 48, 1) from 0 to 255, and apply a backbone.

    The backbone is one layer of our model, a ``keras.Model``.

    Args:
        x: the pixels.
        backbone: what to build.
        weights_dir: see ``fer_search.models.weights.find_weights``.
        pretrained: False leaves the weights random where the design wants ImageNet's.

    Raises:
        UserError: the weights cannot be had or do not fit.
    """
    if backbone.input_size != IMAGE_SIZE:
        size = (backbone.input_size, backbone.input_size)
        resize = layers.Resizing(*size, interpolation="bilinear", dtype="float32", name="resize")
        # Keras' layer takes itself to be training unless told, and then all layers after it do: BN in exported models.
        x = resize(x, training=False)
    preprocessing = NETWORKS[backbone.name][1] if backbone.preprocessing == "own" else RESCALE
    x = to_channels(x, backbone.channels, preprocessing)
    network = make_network(backbone, x.shape[-1])
    if pretrained and backbone.weights == "imagenet":
        give_weights(network, backbone, preprocessing, find_weights(backbone, weights_dir))
    freeze(network, backbone)
    return network(x)


def give_weights(network: keras.Model, backbone: Backbone, preprocessing: Preprocessing, path: Path) -> None:
    """Give a network, of one channel or of three, the weights in a file."""
    if network.input_shape[-1] == 3:
        load_weights(network, path)
        return
    colour = make_network(backbone)
    load_weights(colour, path)
    sum_first_kernel(colour, network, preprocessing)


def freeze(network: keras.Model, backbone: Backbone) -> None:
    """Freeze the stages before ``train_from``, and BN where its statistics are to stay.

    A frozen BN stays as a whole, statistics, scale and offset, and works as in inference. Statistics that were never
    trained (weights "none") are not worth keeping: the trained stages learn them whatever ``frozen_statistics`` says.
    The dropout of frozen stages goes (EfficientNetV2 drops whole branches): what is frozen gives the same features for
    an image every time.
    """
    stages = layer_stages(network)
    keep = backbone.frozen_statistics and backbone.weights != "none"
    for layer in network.layers:
        frozen = not 1 <= backbone.train_from <= stages[layer.name]
        if frozen and isinstance(layer, layers.Dropout):
            layer.rate = 0.0
        layer.trainable = not (frozen or (keep and isinstance(layer, layers.BatchNormalization)))
