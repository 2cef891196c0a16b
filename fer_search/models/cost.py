"""What a network costs: its parameters, and the floating-point operations of one image."""

from __future__ import annotations

import math

import keras


def count_parameters(model: keras.Model) -> int:
    """Return the number of weights, those of BN's moving averages included (as ``model.summary()`` counts)."""
    return model.count_params()


def count_flops(model: keras.Model) -> int:
    """Return the floating-point operations of one image's forward pass, 2 for each multiply-add.

    Counts convolutions and dense layers, which are over 99% of the arithmetic; a training step costs about three times
    as much (the backward pass has two products for each one of the forward pass).

    Args:
        model: a built functional model.
    """
    total = 0
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            positions = math.prod(layer.output.shape[1:-1])
            total += 2 * positions * math.prod(layer.kernel.shape)
    return total
