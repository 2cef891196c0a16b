"""Find, read, check, split and cache data sets of any classes, size and colour; the built-in toy faces."""

from fer_search.data.dataset import SPLITS, Dataset
from fer_search.data.spec import FER2013_CLASSES, DataSpec

__all__ = ["FER2013_CLASSES", "SPLITS", "DataSpec", "Dataset"]
