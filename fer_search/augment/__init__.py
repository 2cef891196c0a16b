"""Design -> augmentation of a batch."""

from fer_search.augment.plan import Plan, augment, draw_plan

__all__ = ["Plan", "augment", "draw_plan"]
