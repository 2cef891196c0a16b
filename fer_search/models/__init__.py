"""Design -> keras.Model."""

from fer_search.models.build import build_model
from fer_search.models.cost import count_flops, count_parameters

__all__ = ["build_model", "count_flops", "count_parameters"]
