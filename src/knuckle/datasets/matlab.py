"""MATLAB files, through SciPy."""

from pathlib import Path

import numpy as np

from knuckle.datasets.layout import BrokenDataset


def read_mat(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Numeric arrays of a .mat file.

    Through SciPy: the format has byte orders, compression and four generations.

    Args:
        path: the file.
        names: of the variables.

    Returns:
        The arrays by name.

    Raises:
        ImportError: SciPy is not installed.
        BrokenDataset: the file is damaged, or lacks a variable; the message lists those it has.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError(f"{path} is a MATLAB file, which takes SciPy: pip install 'knuckle[datasets]'") from error
    try:
        # Plain structured arrays: the file cannot construct objects.
        content = loadmat(str(path), simplify_cells=False)
    except Exception as error:  # SciPy raises any exception of its parser
        raise BrokenDataset(
            f"{path} must be a MATLAB file but cannot be read ({type(error).__name__}: {error}); fetch it again"
        ) from error
    found = {k: v for k, v in content.items() if not k.startswith("__")}
    missing = [name for name in names if name not in found]
    if missing:
        raise BrokenDataset(f"{path} must hold {', '.join(missing)} but holds {', '.join(found) or 'nothing'}")
    return {name: np.asarray(found[name]) for name in names}
