"""Find, read, check, split and cache a data set; the built-in toy faces."""

from fer_search.data.dataset import CLASSES, SPLITS, Dataset

__all__ = ["CLASSES", "SPLITS", "Dataset"]
