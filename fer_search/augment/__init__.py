"""Design -> augmentation of a batch."""

from fer_search.augment.plan import Plan, augment, draw_plan
from fer_search.augment.views import view_maps

__all__ = ["Plan", "augment", "draw_plan", "view_maps"]
