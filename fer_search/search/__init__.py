"""Searching a space: deciding what to train (the driver), training it (executors), and showing both to the user."""
