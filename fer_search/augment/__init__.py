"""Design -> augmentation of a batch."""

from fer_search.augment.crop_flip import view_maps
from fer_search.augment.draws import Plan, augment, draw_plan

__all__ = ["Plan", "augment", "draw_plan", "view_maps"]
