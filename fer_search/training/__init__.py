"""One trial: epochs, schedules, checkpoints, metrics."""
