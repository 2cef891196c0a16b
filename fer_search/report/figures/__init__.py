"""Tables -> Plotly figures, a subject a file; pure functions."""

from fer_search.report.figures.best_so_far import plot_best_so_far
from fer_search.report.figures.choice import plot_choice
from fer_search.report.figures.curves import plot_learning_curves

__all__ = ["plot_best_so_far", "plot_choice", "plot_learning_curves"]
