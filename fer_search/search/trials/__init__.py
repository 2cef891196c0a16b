"""What surrounds a single trial: its job, checkpoints, crashes, failures and signals."""
