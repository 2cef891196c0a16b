"""Cost of a network: number of parameters, and FLOPs per image."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras

from fer_search.data.spec import DataSpec
from fer_search.design import Custom, Design
from fer_search.models.build import FER2013, build_network

KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


@dataclass(frozen=True)
class Cost:
    """Cost of a network.

    Args:
        parameters: Number of weights; see ``count_parameters``.
        flops: Floating-point operations of one image's forward pass; see ``count_flops``.
    """

    parameters: int
    flops: int


def measure_cost(design: Design, spec: DataSpec = FER2013) -> Cost:
    """Return the cost of a design's network from its shapes, without creating weights.

    Takes about a fifth of the time of ``build_model`` and hardly any memory, and fails where that would. The costs of
    many networks are remembered; those of custom ones are not, since their functions may change.

    Args:
        design: The design.
        spec: Image size, channels and classes of the data.
    """
    if isinstance(design.network, Custom):
        return _measure(design, spec)
    return _measure_once(Design(network=design.network, head=design.head), spec)


def _measure(design: Design, spec: DataSpec) -> Cost:
    """Build a network of shapes and count.

    In Keras' stateless scope a variable is a shape whose value is created on first use, here never. The separate thread
    prevents their creation later on: Keras registers uninitialised variables per thread.
    """

    def build() -> Cost:
        whole = isinstance(design.network, Custom) and design.network.whole  # its optimiser needs real variables
        with contextlib.nullcontext() if whole else keras.StatelessScope(initialize_variables=False):
            network = build_network(design, pretrained=False, spec=spec)
        return Cost(count_parameters(network), count_flops(network))

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(build).result()


_measure_once = lru_cache(maxsize=4096)(_measure)


def count_parameters(model: keras.Model) -> int:
    """Return the number of weights, including BN's moving averages (as in ``model.summary()``)."""
    return int(model.count_params())


def count_flops(model: keras.Model) -> int:
    """Return the FLOPs of one image's forward pass, 2 per multiply-add.

    Counts all kinds of convolutions and dense layers, which are nearly all of the arithmetic. A training step costs
    about three times as much (the backward pass has two products for each one of the forward pass).

    Args:
        model: Built functional model; layers of nested models are included.
    """
    return sum(2 * positions * weights for positions, weights in _products(model))


def _products(model: keras.Model) -> Iterator[tuple[int, int]]:
    """Yield the number of positions at which each kernel is applied, and its multiply-adds per position.

    A kernel has one multiply-add per weight and output position, also when grouped or depthwise: a group's kernel holds
    only the group's channels.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _products(layer)
            continue
        positions = sum(math.prod(shape[1:-1]) for shape in _output_shapes(layer))
        while isinstance(layer, keras.layers.Wrapper):
            layer = layer.layer
        for name in KERNELS:
            if (kernel := getattr(layer, name, None)) is not None:
                yield positions, math.prod(kernel.shape)


def _output_shapes(layer: Any) -> list[tuple[int, ...]]:
    """Return the output shape of each application of the layer."""
    return [keras.tree.flatten(node.output_tensors)[0].shape for node in layer._inbound_nodes]
