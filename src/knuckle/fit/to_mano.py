"""The free hand as MANO's parameters, for who has a MANO file: the file's hand fitted to our joints and mesh.

The two meshes have other vertices. Once for a file, both hands at rest are laid over each other: a fit to the joints,
then by turns the nearest point of our surface for each of MANO's vertices and a fit to these points. A point keeps its
triangle and its place in it, so that it moves with the hand, and every pose is fitted to joints and points together.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from knuckle.fit.constants import FitConstants
from knuckle.fit.hand import fit_hand
from knuckle.handmodel.mano import rigid_to_mano, rotations_to_pose
from knuckle.handmodel.model import HandModel

# Standard deviations, metres: the joints are what programs compare; of 778 points each counts little.
_JOINT_STD, _POINT_STD = 0.002, 0.01
_ROUNDS = 3
# Metres: farther from our surface a vertex has no counterpart on it, as at the wrist, where MANO's mesh is open.
_REACH = 0.015


@dataclass(frozen=True, eq=False)
class ManoParameters:
    """N hands as MANO's parameters; of `smplx`, with use_pca=False and flat_hand_mean=True.

    Attributes:
        global_orient: (N, 3) axis-angle, about the wrist, in the camera's frame.
        hand_pose: (N, 45) axis-angle, zero for MANO's flat hand.
        betas: (N, S).
        transl: (N, 3) metres.
        joint_error_mm: (N,) mean distance of the 21 joints from ours.
        vertex_error_mm: (N,) mean distance of MANO's vertices from their points on our mesh.
    """

    global_orient: Float[np.ndarray, "N 3"]
    hand_pose: Float[np.ndarray, "N 45"]
    betas: Float[np.ndarray, "N S"]
    transl: Float[np.ndarray, "N 3"]
    joint_error_mm: Float[np.ndarray, " N"]
    vertex_error_mm: Float[np.ndarray, " N"]


@dataclass(frozen=True, eq=False)
class ManoFitter:
    """Fits a MANO file's hand to poses of the free hand, of the file's side.

    Attributes:
        mano: from a MANO file; model: the free hand.
        corners: (V, 3) the vertices of our mesh around each of MANO's; shares: (V, 3) of each, summing to 1.
        point_std: (V,) metres; infinite for vertices without a counterpart.
    """

    mano: HandModel
    model: HandModel
    constants: FitConstants
    corners: Int[np.ndarray, "V 3"]
    shares: Float[np.ndarray, "V 3"]
    point_std: Float[np.ndarray, " V"]

    @classmethod
    def of(cls, mano: HandModel, model: HandModel) -> "ManoFitter":
        """Lay the two hands over each other; takes about a second.

        Raises:
            ValueError: the first model is not from a MANO file.
        """
        if mano.mano is None:
            raise ValueError(f"mano must be loaded from a MANO file but is {mano.name!r}; see HandModel.load")
        constants = FitConstants.of(mano)
        ours = model()
        fit = fit_hand(constants, ours.joints, joint_uncertainty=_JOINT_STD)
        found = (np.zeros((0, 3), int), np.zeros((0, 3)), np.zeros(0))
        for _ in range(_ROUNDS):
            theirs = mano(fit.angles, shape=fit.shape, T_camera_hand=fit.T_camera_hand).vertices
            found = corners, shares, distance = _nearest_points(theirs, ours.vertices, np.asarray(model.faces))
            std = np.where(distance < _REACH, _POINT_STD, np.inf)
            points = (ours.vertices[corners] * shares[..., None]).sum(axis=1)
            fit = fit_hand(
                constants, ours.joints, points, joint_uncertainty=_JOINT_STD, vertex_uncertainty=std, initial=fit
            )
        corners, shares, distance = found
        return cls(mano, model, constants, corners, shares, np.where(distance < _REACH, _POINT_STD, np.inf))

    @property
    def side(self) -> Literal["left", "right"]:
        """Of the file."""
        return "left" if self.mano.mano is not None and self.mano.mano.is_left else "right"

    def __call__(
        self,
        angles: Float[np.ndarray, "N 23"],
        shape: Float[np.ndarray, "N S"],
        T_camera_hand: Float[np.ndarray, "N 4 4"],
    ) -> ManoParameters:
        """MANO's parameters of hands of the file's side.

        Args:
            angles, shape, T_camera_hand: of the free hand; see `HandModel`.
        """
        ours = self.model(angles, shape=shape, T_camera_hand=T_camera_hand, side=self.side)
        joints, points = (
            np.asarray(ours.joints),
            (np.asarray(ours.vertices)[:, self.corners] * self.shares[..., None]).sum(2),
        )
        std = np.broadcast_to(self.point_std, points.shape[:-1])
        fit: Any = fit_hand(
            self.constants, joints, points, side=self.side, joint_uncertainty=_JOINT_STD, vertex_uncertainty=std
        )
        posed = self.mano(fit.angles, shape=fit.shape, T_camera_hand=fit.T_camera_hand, side=self.side)
        seen = np.isfinite(self.point_std)
        orient, transl = rigid_to_mano(self.mano, fit.T_camera_hand, fit.shape)
        return ManoParameters(
            global_orient=orient,
            hand_pose=rotations_to_pose(self.mano, self.mano.rotations(fit.angles), flat_hand_mean=True),
            betas=fit.shape,
            transl=transl,
            joint_error_mm=1000 * np.linalg.norm(posed.joints - joints, axis=-1).mean(-1),
            vertex_error_mm=1000 * np.linalg.norm((posed.vertices - points)[:, seen], axis=-1).mean(-1),
        )


def _nearest_points(
    points: Float[np.ndarray, "V 3"], vertices: Float[np.ndarray, "W 3"], faces: Int[np.ndarray, "F 3"]
) -> tuple[Int[np.ndarray, "V 3"], Float[np.ndarray, "V 3"], Float[np.ndarray, " V"]]:
    """For each point the triangle whose point is nearest, the shares of its corners, and the distance.

    Among the triangles around the nearest vertex: on a mesh as fine as ours the others are farther away.
    """
    squared = np.square(points[:, None] - vertices).sum(-1)
    nearest = squared.argmin(axis=1)
    shares, chosen = np.zeros((len(points), 3)), np.zeros((len(points), 3), int)
    distance = np.full(len(points), np.inf)
    for number, (point, vertex) in enumerate(zip(points, nearest, strict=True)):
        for face in faces[(faces == vertex).any(axis=1)]:
            share = _barycentric(point, vertices[face])
            off = float(np.linalg.norm(share @ vertices[face] - point))
            if off < distance[number]:
                chosen[number], shares[number], distance[number] = face, share, off
    return chosen, shares, distance


def _barycentric(point: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(3,) shares of the corners for the point's foot in their plane, moved into the triangle where it is outside."""
    a, b = corners[1] - corners[0], corners[2] - corners[0]
    gram = np.array([[a @ a, a @ b], [a @ b, b @ b]])
    v, w = np.linalg.solve(gram + 1e-18 * np.eye(2), np.array([a @ (point - corners[0]), b @ (point - corners[0])]))
    share = np.clip(np.array([1 - v - w, v, w]), 0.0, None)
    return share / share.sum()
