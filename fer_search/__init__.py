"""fer-search: architecture and augmentation search for facial emotion recognition, on Keras Tuner."""

__version__ = "0.1.0"
