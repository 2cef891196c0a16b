"""The best designs of a run, trained again on all training images and tested once on images that no search saw."""
