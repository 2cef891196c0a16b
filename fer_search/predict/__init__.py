"""Expressions on faces: finding them in photos and videos, and predicting with a run's network or an exported file."""
