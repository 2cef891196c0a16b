"""Inspecting run folders from the command line: status, trials, damage and repair. Imports no Keras."""
