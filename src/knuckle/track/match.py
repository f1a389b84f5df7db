"""Which detection belongs to which track."""

import numpy as np
from jaxtyping import Float


def match(cost: Float[np.ndarray, "a b"], limit: float) -> list[tuple[int, int]]:
    """Greedy matching of rows and columns by increasing cost, each used at most once, up to the cost `limit`."""
    pairs: list[tuple[int, int]] = []
    rows, columns = np.unravel_index(np.argsort(cost, axis=None, kind="stable"), cost.shape)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if cost[row, column] > limit:
            break
        if all(row != r and column != c for r, c in pairs):
            pairs.append((row, column))
    return pairs
