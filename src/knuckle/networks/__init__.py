"""Networks (torch): tensors in, tensors out. They know nothing of cameras, crops or labels."""
