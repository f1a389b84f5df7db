"""Inverse kinematics by an exported network: a hand's angles and shape from its joints, in tenths of a millisecond."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from knuckle.fit import Fit, FitConstants
from knuckle.fit.inputs import MIRROR, flat_side
from knuckle.fit.kinematics import pose
from knuckle.geometry.rotation import axis_angle_to_matrix, rotation_6d_to_matrix
from knuckle.handmodel import HandModel
from knuckle.handmodel.angles import rotations_to_angles
from knuckle.handmodel.palm import PALM
from knuckle.handmodel.placement import Side
from knuckle.predict.contract import ContractError
from knuckle.predict.network import open_network, run_network

_PALM = np.array(PALM)


class IKGraph:
    """Angles, shape and placement of hands from an ONNX file that `knuckle export` wrote of the system "ik".

        fit = IKGraph("ik.onnx", HandModel.open())(joints, side="left")

    What it gives is a start for `fit_hand(..., initial=fit)`, or stands by itself where joints are uncertain.
    Thread-safe and stateless.

    Args:
        path: the file.
        hand: that the network was trained for.
        threads: of the processor.

    Raises:
        FileNotFoundError: there is no such file.
        ContractError: it is not an ONNX file of an inverse-kinematics network.
    """

    def __init__(self, path: Path | str, hand: HandModel | FitConstants, threads: int = 1) -> None:
        self._hand = hand if isinstance(hand, FitConstants) else FitConstants.of(hand)
        if self._hand.tip_skinning is not None:
            raise ValueError(
                "hand must have its fingertips among its joints, as the free hand, but has them as vertices"
            )
        self._path = Path(path)
        self._session, self.contract = open_network(self._path, "ik", threads)
        if ("shape" in self.contract.inputs) == ("shape" in self.contract.outputs):
            raise ContractError(f"{path} must either find the hand's shape or be given it; export it again")

    def __call__(
        self,
        joints: Float[np.ndarray, "*batch 21 3"],
        side: Side = "right",
        shape: Float[np.ndarray, "*#batch s"] | None = None,
    ) -> Fit:
        """The hands.

        Args:
            joints: (..., 21, 3) metres, finite, in the camera's frame or any other.
            side: "left", "right" or a boolean array of the leading axes, true for a left hand.
            shape: (..., S) of the hands, which a network for known shapes needs; others ignore it.

        Returns:
            A Fit of no iterations, not converged.

        Raises:
            ValueError: joints or side have another shape, or the shape is needed and missing.
        """
        if joints.shape[-2:] != (21, 3):
            raise ValueError(f"joints must be (..., 21, 3) in metres but got the shape {joints.shape}")
        leading = joints.shape[:-2]
        left = flat_side(side, leading)
        mirror = np.where(left[:, None], MIRROR, 1.0)
        right = joints.reshape(-1, 21, 3) * mirror[:, None]
        found = self._run(right, self._flat_shape(shape, leading))
        angles, shape = self._angles(found), found["shape"]
        vectors = found.get("vectors")
        posed = self._posed(angles, shape, vectors)
        if "turn" in found:
            rotation = np.asarray(rotation_6d_to_matrix(found["turn"]))
            offset = (right - posed @ rotation.swapaxes(1, 2)).mean(1)
        else:
            rotation, offset = _align(posed[:, _PALM], right[:, _PALM])
        placed = posed @ rotation.swapaxes(1, 2) + offset[:, None]
        T = np.zeros((len(right), 4, 4))
        T[:, :3, :3] = rotation * (mirror[:, :, None] * mirror[:, None])
        T[:, :3, 3] = offset * mirror
        T[:, 3, 3] = 1.0
        return Fit(
            angles=angles.reshape(*leading, self._hand.kin.angle_count),
            shape=shape.reshape(*leading, self._hand.kin.shape_count),
            T_camera_hand=T.reshape(*leading, 4, 4),
            joints=(placed * mirror[:, None]).reshape(*leading, 21, 3),
            error=np.sqrt(np.square(placed - right).sum(-1)).mean(-1).reshape(leading),
            iterations=np.zeros(leading, np.int64),
            converged=np.zeros(leading, bool),
            vectors=None if vectors is None else vectors.reshape(*leading, 15, 3),
        )

    def _flat_shape(self, shape: np.ndarray | None, leading: tuple[int, ...]) -> np.ndarray | None:
        if "shape" not in self.contract.inputs:
            return None
        if shape is None:
            raise ValueError("shape must be given to a network for a known shape but is None; give the hand's shape")
        count = self._hand.kin.shape_count
        return np.broadcast_to(shape, (*leading, count)).reshape(-1, count)

    def _run(self, joints: Float[np.ndarray, "n 21 3"], shape: np.ndarray | None) -> dict[str, np.ndarray]:
        """Outputs by name, and the shape also where it is an input."""
        seen = joints
        if "turn" not in self.contract.outputs:
            palm = self._hand.kin.joints[_PALM]
            rotation, offset = _align(np.broadcast_to(palm, (len(joints), *palm.shape)), joints[:, _PALM])
            seen = (joints - offset[:, None]) @ rotation
        given = {"joints": seen.astype(np.float32)}
        if shape is not None:
            given["shape"] = shape.astype(np.float32)
        outputs = run_network(self._session, self._path, list(self.contract.outputs), given, self.contract)
        found = {name: values.astype(np.float64) for name, values in outputs.items()}
        if not all(np.isfinite(values).all() for values in found.values()):
            raise ContractError(f"{self._path} must give finite numbers but does not; did its training diverge?")
        count = self._hand.kin.shape_count
        if shape is None and found["shape"].shape[1:] != (count,):
            raise ContractError(
                f"{self._path} must give {count} numbers of shape, as the hand, but gives {found['shape'].shape[1:]}"
            )
        return found if shape is None else found | {"shape": shape}

    def _posed(self, angles: np.ndarray, shape: np.ndarray, vectors: np.ndarray | None) -> np.ndarray:
        """(N, 21, 3) joints in the hand's frame."""
        if vectors is None:
            return pose(self._hand.kin, angles, shape).joints
        return np.asarray(self._hand.model.joints(rotations=axis_angle_to_matrix(vectors), shape=shape))

    def _angles(self, found: dict[str, np.ndarray]) -> Float[np.ndarray, "n 23"]:
        """Those of the network, or the closest to its rotation vectors; exactly within the limits."""
        low, high = self._hand.default_limits.T
        if "angles" in found:
            angles = found["angles"]
        else:
            model = self._hand.model
            rotations = axis_angle_to_matrix(found["vectors"])
            angles = np.asarray(rotations_to_angles(rotations, model.angle_axis, model.angle_convention)[0])
        return np.minimum(np.maximum(angles, low), high)


def _align(points: Float[np.ndarray, "n p 3"], target: Float[np.ndarray, "n p 3"]) -> tuple[np.ndarray, np.ndarray]:
    """`geometry.align.align_rigid`, several times faster for one hand."""
    points_mean, target_mean = points.mean(1), target.mean(1)
    covariance = (target - target_mean[:, None]).swapaxes(1, 2) @ (points - points_mean[:, None])
    u, _, vh = np.linalg.svd(covariance)
    rotation = u @ vh
    mirrored = np.linalg.det(rotation) < 0
    if mirrored.any():
        u[mirrored, :, 2] *= -1
        rotation = u @ vh
    return rotation, target_mean - (rotation @ points_mean[..., None])[..., 0]
