"""Design -> augmentation of a batch."""

from fer_search.augment.crop_flip import tta_maps
from fer_search.augment.draws import EpochDraws, augment, draw_epoch

__all__ = ["EpochDraws", "augment", "draw_epoch", "tta_maps"]
