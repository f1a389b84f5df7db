"""Networks (torch): tensors in, tensors out, independent of cameras, crops and labels."""
