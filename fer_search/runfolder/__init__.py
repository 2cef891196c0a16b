"""The run folder: the one place that knows its format. Imports neither Keras nor TensorFlow.

``schema`` names the files and their fields; the other modules read and write them: ``folder`` (paths, run.json,
live.json), ``lock``, ``identity`` (may a run be resumed with these settings), ``run_json`` and ``trial_files`` (for the
report), ``design_json``, ``epochs``, ``predictions``, ``crash_marker`` and ``confirmation``.
"""
