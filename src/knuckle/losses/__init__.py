"""Objectives as plain functions of torch tensors. Each asks what labels are there: weights of zero leave a part out."""
