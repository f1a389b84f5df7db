"""A picture to try things on, which is in the package."""

from importlib import resources

import numpy as np
from jaxtyping import UInt8

from knuckle.image.read import read_picture


def example_image() -> UInt8[np.ndarray, "h w 3"]:
    """A picture of one right hand, RGB; drawn by knuckle's generator, under the package's licence."""
    with resources.as_file(resources.files("knuckle.image") / "example.jpg") as path:
        return read_picture(path)
