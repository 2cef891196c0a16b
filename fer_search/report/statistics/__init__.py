"""Run tables -> what they say: intervals, effects, importances, comparisons."""
