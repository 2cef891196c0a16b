"""Design -> augmentation of a batch."""

from fer_search.augment.crop_flip import tta_maps
from fer_search.augment.draws import EpochDraws, augment, draw_epoch
from fer_search.augment.geometry import mirror_maps

__all__ = ["EpochDraws", "augment", "draw_epoch", "mirror_maps", "tta_maps"]
