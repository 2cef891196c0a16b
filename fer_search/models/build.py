"""Design -> compiled keras.Model."""

from __future__ import annotations

import weakref
from pathlib import Path

import keras

from fer_search.data.spec import DataSpec
from fer_search.design import Backbone, Custom, Design, Plain, Residual
from fer_search.models.backbone import apply_backbone
from fer_search.models.custom import apply_custom, build_user_model
from fer_search.models.head import apply_head
from fer_search.models.initializers import numpy_initializers
from fer_search.models.layers import gaussian_noise
from fer_search.models.loss import make_loss
from fer_search.models.optimizer import make_optimizer
from fer_search.models.plain import plain_stages
from fer_search.models.precision import dtype_policy
from fer_search.models.residual import residual_stages

FER2013 = DataSpec()
_networks: weakref.WeakKeyDictionary[keras.Model, str] = weakref.WeakKeyDictionary()


def build_model(
    design: Design,
    weights_dir: Path | None = None,
    pretrained: bool = True,
    spec: DataSpec = FER2013,
) -> keras.Model:
    """Build and compile the network of a design.

    The model takes raw pixels, so that it can be used and exported on its own, and returns class probabilities. It is
    compiled with the design's optimiser and loss, and accuracy, for one-hot or mixed labels, float32 (n, classes).
    Label smoothing is not in the loss but in the labels that the augmentation produces, so plain ``fit`` trains without
    it.

    Initial weights depend on ``keras.utils.set_random_seed`` and are the same on every backend.

    Args:
        design: The design to build.
        weights_dir: Folder that may hold pretrained weights; see ``fer_search.models.weights.find_weights``.
        pretrained: False leaves all weights random, for a model whose weights will come from a checkpoint: nothing is
            searched for, downloaded or read.
        spec: Image size, channels and classes.

    Returns:
        A model from float32 (n, height, width, channels), 0 to 255, to probabilities, float32 (n, classes).

    Raises:
        UserError: Pretrained weights are required but unavailable.
    """
    with numpy_initializers():
        model = build_network(design, weights_dir, pretrained, spec)
    if isinstance(design.network, Custom) and design.network.whole:
        return model  # compiled by the user
    freeze_initially = isinstance(design.network, Backbone) and design.network.frozen_epochs > 0
    optimizer = make_optimizer(design.optimisation, backbone_factor(design), freeze_initially)
    model.compile(optimizer=optimizer, loss=make_loss(design.optimisation), metrics=["accuracy"])
    if not isinstance(design.network, Custom):
        _networks[model] = repr((design.network, design.head))
    return model


def describe_network(model: keras.Model) -> str | None:
    """Return the network and head that ``build_model`` built a model from; None for others and for custom networks."""
    return _networks.get(model)


def build_network(
    design: Design,
    weights_dir: Path | None = None,
    pretrained: bool = True,
    spec: DataSpec = FER2013,
) -> keras.Model:
    """Build the network without compiling it, with initial weights drawn by the backend; see ``build_model``."""
    network = design.network
    if isinstance(network, Custom) and network.whole:
        return build_user_model(network, spec)
    with dtype_policy(design.optimisation.precision):
        pixels = keras.Input(spec.input_shape, name="pixels")
        if isinstance(network, Backbone):
            x = apply_backbone(pixels, network, weights_dir, pretrained)
        else:
            x = keras.layers.Rescaling(1 / 255, name="rescale")(pixels)
            x = _layers(x, network)
        return keras.Model(pixels, apply_head(x, design.head, len(spec.classes)), name="fer")


def backbone_factor(design: Design) -> float:
    """Return the learning-rate factor of the design's backbone; 1 if no backbone is trained."""
    network = design.network
    return float(network.learning_rate_factor) if isinstance(network, Backbone) and network.train_from else 1.0


def _layers(x: keras.KerasTensor, network: Residual | Plain | Custom) -> keras.KerasTensor:
    if isinstance(network, Custom):
        return apply_custom(x, network)
    x = gaussian_noise(x, network.noise, "noise")
    return residual_stages(x, network) if isinstance(network, Residual) else plain_stages(x, network)
