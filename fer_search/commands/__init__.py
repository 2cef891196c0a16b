"""The commands: each parses its options, calls, and prints. None imports Keras before it needs it."""
