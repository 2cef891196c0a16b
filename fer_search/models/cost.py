"""What a network costs: its parameters, and the floating-point operations of one image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras

from fer_search.design import Design
from fer_search.models.build import build_network

KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Args:
        parameters: number of weights, see ``count_parameters``.
        flops: floating-point operations of one image's forward pass, see ``count_flops``.
    """

    parameters: int
    flops: int


def measure(design: Design) -> Cost:
    """Build the shapes of a design's network, without a single weight, and return what it costs.

    It takes about a fifth of the time of ``build_model`` and no memory to speak of, and fails where that would. In
    Keras' stateless scope a variable is a shape whose value is made when it is first needed, here never. A thread of
    its own keeps the values from being made later on: what Keras knows of unfinished variables is the thread's, and
    goes with it.
    """

    def shapes() -> Cost:
        with keras.StatelessScope(initialize_variables=False):
            network = build_network(design, pretrained=False)
        return Cost(count_parameters(network), count_flops(network))

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(shapes).result()


def count_parameters(model: keras.Model) -> int:
    """Return the number of weights, those of BN's moving averages included (as ``model.summary()`` counts)."""
    return model.count_params()


def count_flops(model: keras.Model) -> int:
    """Return the floating-point operations of one image's forward pass, 2 for each multiply-add.

    Counts convolutions of all kinds and dense layers, which are nearly all of the arithmetic; a training step costs
    about three times as much (the backward pass has two products for each one of the forward pass).

    Args:
        model: a built functional model; layers in models inside it count too.
    """
    return sum(2 * positions * weights for positions, weights in _products(model))


def _products(model: keras.Model) -> Iterator[tuple[int, int]]:
    """Yield how often each kernel is applied, and how many multiply-adds that takes each time.

    A kernel has a multiply-add for each of its weights at each position of the output, grouped and depthwise ones too:
    a group's kernel holds the group's channels alone.
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
    """Return the shape of the layer's output each time that it is applied."""
    return [keras.tree.flatten(node.output_tensors)[0].shape for node in layer._inbound_nodes]
