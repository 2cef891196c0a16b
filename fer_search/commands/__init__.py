"""The commands: each parses its options, calls, and prints. Keras is imported only where it is needed."""
