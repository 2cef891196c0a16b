"""Design -> keras.Model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras

from fer_search.design import IMAGE_SIZE, Backbone, Design, Plain, Residual
from fer_search.models.backbone import apply_backbone
from fer_search.models.head import apply_head
from fer_search.models.initial import drawn_on_host
from fer_search.models.loss import make_loss
from fer_search.models.optimizer import make_optimizer
from fer_search.models.parts import add_noise
from fer_search.models.plain import plain_stages
from fer_search.models.residual import residual_stages

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def build_model(design: Design, weights_dir: Path | None = None, pretrained: bool = True) -> keras.Model:
    """Build and compile the network of a design.

    The model takes raw grey pixels, so that it can be used and exported alone: float32 (n, 48, 48, 1) from 0 to 255.
    It gives float32 (n, 7), the probability of each class in the order of ``fer_search.data.CLASSES``.

    It is compiled with the design's optimiser, loss and accuracy, for labels float32 (n, 7), one-hot or mixed. Label
    smoothing is not in the loss: it is part of the augmentation, which gives labels that are smoothed already, so who
    trains with ``fit`` alone trains without it.

    Its initial weights are those that ``keras.utils.set_random_seed`` determines, the same on every backend.

    Args:
        design: what to build.
        weights_dir: a folder that may hold pretrained weights; see ``fer_search.models.weights.find_weights``.
        pretrained: False leaves all weights random, for a model whose weights will come from a checkpoint: nothing is
            looked for, downloaded or read.

    Raises:
        UserError: pretrained weights are wanted and cannot be had.
    """
    with drawn_on_host():
        model = build_network(design, weights_dir, pretrained)
    waits = isinstance(design.network, Backbone) and design.network.frozen_epochs > 0
    optimizer = make_optimizer(design.optimisation, backbone_factor(design), waits)
    model.compile(optimizer=optimizer, loss=make_loss(design.optimisation), metrics=["accuracy"])
    return model


def build_network(design: Design, weights_dir: Path | None = None, pretrained: bool = True) -> keras.Model:
    """Build the network alone, not compiled, its initial weights drawn by the backend; see ``build_model``."""
    network = design.network
    with _precision(design.optimisation.precision):
        pixels = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1), name="pixels")
        if isinstance(network, Backbone):
            x = apply_backbone(pixels, network, weights_dir, pretrained)
        else:
            x = keras.layers.Rescaling(1 / 255, name="rescale")(pixels)
            x = add_noise(x, network.noise, "noise")
            x = _stages(x, network)
        return keras.Model(pixels, apply_head(x, design.head), name="fer")


def backbone_factor(design: Design) -> float:
    """Return the share of the learning rate at which a backbone learns; 1 where no backbone does."""
    network = design.network
    return float(network.learning_rate_factor) if isinstance(network, Backbone) and network.train_from else 1.0


def _stages(x: keras.KerasTensor, network: Residual | Plain) -> keras.KerasTensor:
    return residual_stages(x, network) if isinstance(network, Residual) else plain_stages(x, network)


@contextlib.contextmanager
def _precision(precision: str) -> Iterator[None]:
    """Build layers in a precision; "auto" leaves Keras' setting as the caller has chosen it."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES.get(precision, before))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
