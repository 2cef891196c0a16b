"""Tables -> Plotly figures, a subject a file; pure functions."""

from fer_search.report.figures.best_so_far import plot_best_so_far, plot_runs_so_far
from fer_search.report.figures.choice import plot_choice
from fer_search.report.figures.cost import plot_cost
from fer_search.report.figures.curves import plot_learning_curves
from fer_search.report.figures.effects import plot_recall_effects
from fer_search.report.figures.importance import plot_importances
from fer_search.report.figures.network import plot_calibration, plot_confusion
from fer_search.report.figures.pair import plot_pair
from fer_search.report.figures.parallel import plot_parallel
from fer_search.report.figures.path import plot_path
from fer_search.report.figures.promotions import plot_promotions
from fer_search.report.figures.time import plot_time
from fer_search.report.figures.trial import plot_trial

__all__ = [
    "plot_best_so_far",
    "plot_calibration",
    "plot_choice",
    "plot_confusion",
    "plot_cost",
    "plot_importances",
    "plot_learning_curves",
    "plot_pair",
    "plot_parallel",
    "plot_path",
    "plot_promotions",
    "plot_recall_effects",
    "plot_runs_so_far",
    "plot_time",
    "plot_trial",
]
