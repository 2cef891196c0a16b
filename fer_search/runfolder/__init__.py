"""The run folder: the one place that knows its format. Needs no Keras."""
