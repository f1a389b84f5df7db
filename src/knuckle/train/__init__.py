"""Training: one visible loop, checkpoints that resume exactly, and the way from a checkpoint to an ONNX file."""
