"""How much to train: budgets, early stopping, time estimates."""
