"""Running one trial: checkpoints, crashes, failures, signals."""
