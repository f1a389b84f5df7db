"""Geometry for any array library: rotations, rigid motions, alignment, heatmaps, hulls in the plane."""
