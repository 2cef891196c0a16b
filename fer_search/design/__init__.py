"""Design: one point of a search space, and the full vocabulary of what can be built and trained.

A Design is plain data. ``fer_search.models`` turns it into a ``keras.Model``, ``fer_search.augment`` into random
transformations of the training images, and ``fer_search.training`` trains it. Every part validates its fields on
construction, so an invalid value is reported by name before anything is built.
"""

from fer_search.design.augmentation import Augmentation, Evaluation
from fer_search.design.checks import IMAGE_SIZE, DesignError, scale_pixels
from fer_search.design.custom import Custom
from fer_search.design.design import Design
from fer_search.design.head import Head
from fer_search.design.networks import BACKBONES, Backbone, Plain, Residual
from fer_search.design.optimisation import Optimisation, low_resolution_side

__all__ = [
    "BACKBONES",
    "IMAGE_SIZE",
    "Augmentation",
    "Backbone",
    "Custom",
    "Design",
    "DesignError",
    "Evaluation",
    "Head",
    "Optimisation",
    "Plain",
    "Residual",
    "low_resolution_side",
    "scale_pixels",
]
