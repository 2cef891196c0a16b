"""Design -> keras.Model."""

from fer_search.models.build import build_model, build_network
from fer_search.models.cost import Cost, count_flops, count_parameters, measure
from fer_search.models.loss import make_loss
from fer_search.models.optimizer import hold_backbone, make_optimizer
from fer_search.models.weights import check_weights, find_weights

__all__ = [
    "Cost",
    "build_model",
    "build_network",
    "check_weights",
    "count_flops",
    "count_parameters",
    "find_weights",
    "hold_backbone",
    "make_loss",
    "make_optimizer",
    "measure",
]
