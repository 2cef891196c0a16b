"""How much is trained: budgets, early stopping and time estimates."""
