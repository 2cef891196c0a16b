"""Design -> keras.Model."""

from fer_search.models.build import build_model, build_network, describe_network
from fer_search.models.cost import Cost, count_flops, count_parameters, measure_cost
from fer_search.models.custom import user_training
from fer_search.models.loss import make_loss, training_loss
from fer_search.models.optimizer import freeze_backbone_for, make_optimizer
from fer_search.models.weights import check_weights, find_weights

__all__ = [
    "Cost",
    "build_model",
    "build_network",
    "check_weights",
    "count_flops",
    "count_parameters",
    "describe_network",
    "find_weights",
    "freeze_backbone_for",
    "make_loss",
    "make_optimizer",
    "measure_cost",
    "training_loss",
    "user_training",
]
