"""The palm: the joints that no angle moves, and how a hand is turned, read from them alone."""

from jaxtyping import Float

from knuckle.arrays import Array
from knuckle.geometry.align import align_rigid
from knuckle.handmodel.placement import take_points

PALM: tuple[int, ...] = (0, 1, 5, 9, 13, 17)  # wrist, thumb CMC and the fingers' MCP joints


def align_palm(
    joints_hand: Float[Array, "*#batch 21 3"], joints: Float[Array, "*#batch 21 3"]
) -> tuple[Float[Array, "... 3 3"], Float[Array, "... 3"]]:
    """The rigid motion that brings the palm of a hand in its own frame onto an observed palm, by least squares.

    Args:
        joints_hand: (..., 21, 3) metres, hand frame, in any pose: `HandModel.shaped_joints`.
        joints: (..., 21, 3) observed, in any frame; of a right hand, or mirrored to one.

    Returns:
        rotation (..., 3, 3) and translation (..., 3), hand frame to observed.
    """
    return align_rigid(take_points(joints_hand, PALM), take_points(joints, PALM))
