"""fer-search: architecture and augmentation search for facial emotion recognition, on Keras Tuner."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what needs Keras when it is accessed, so that the package itself is light."""
    if name == "FerHyperModel":
        from fer_search.hypermodel import FerHyperModel

        return FerHyperModel
    if name == "load":
        from fer_search.predict.predictor import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
