"""Design: one point of a search space, and the whole vocabulary of what can be built and trained.

A Design is plain data. ``fer_search.models`` turns it into a ``keras.Model``, ``fer_search.augment`` into the random
transformations of its training images, ``fer_search.training`` into a training. Every part checks its fields when it
is made, so that a wrong value is reported by name before anything is built.
"""

from fer_search.design.augmentation import Augmentation, Evaluation
from fer_search.design.checks import IMAGE_SIZE, DesignError
from fer_search.design.design import Design
from fer_search.design.head import Head
from fer_search.design.networks import BACKBONES, Backbone, Plain, Residual
from fer_search.design.optimisation import Optimisation

__all__ = [
    "BACKBONES",
    "IMAGE_SIZE",
    "Augmentation",
    "Backbone",
    "Design",
    "DesignError",
    "Evaluation",
    "Head",
    "Optimisation",
    "Plain",
    "Residual",
]
