"""Looking at run folders from the command line: what a run does, its trials, whether the folder is sound. No Keras."""
