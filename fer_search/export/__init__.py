"""A trained network as a file that works without fer-search: plain Keras, TFLite, ONNX or a TensorFlow SavedModel."""
