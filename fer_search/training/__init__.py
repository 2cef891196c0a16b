"""Training of one trial: epochs, schedules, checkpoints, metrics."""
