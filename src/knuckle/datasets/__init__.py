"""Readers: every data set as a stream of Samples."""
