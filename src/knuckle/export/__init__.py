"""Hands as files other programs read: .glb, .obj, .bvh, .npz and .json."""
