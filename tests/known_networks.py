"""Networks that know the hand: fakes that are called, and small ONNX files written from a contract."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.linalg import rq

from knuckle.predict import Contract
from knuckle.predict.detect import Detection, box_of_joints
from knuckle.skeleton import BOX_CORNERS

MIRROR = np.diag([-1.0, 1.0, 1.0])
EVERYTHING = ("joints", "uncertainty", "left", "presence", "vertices", "corners", "category")


def box_corners(center, extent=(0.03, 0.02, 0.1)) -> np.ndarray:
    """A box that is turned a little, before the camera."""
    turn = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(center) + (np.array(BOX_CORNERS) * extent) @ turn.T


def split_affine(affine, K):
    """The crop's intrinsics and its turn about the optical axis, by an RQ decomposition of the library's."""
    upper, turn = rq(np.vstack([affine, [0, 0, 1]]) @ K)
    signs = np.diag(np.sign(np.diag(upper)))
    return upper @ signs, signs @ turn


class KnowsTheHand:
    """A network that finds one hand and its object in every crop, as exactly as they are there.

    Args:
        contract: what it pretends to be.
        K: (3, 3) of the picture.
        joints, vertices, corners: metres in the camera's frame.
        left: the hand's side.
    """

    def __init__(self, contract: Contract, K, joints, vertices, corners, left: bool) -> None:
        self.contract, self.K, self.left = contract, K, left
        self.holds = 0.9
        self.parts = {"joints": joints, "vertices": vertices, "corners": corners}
        self.crops: list[np.ndarray] = []

    def __call__(self, picture, affines, K=None, boxes=None) -> dict[str, np.ndarray]:
        rows = [self._row(affine) for affine in affines]
        for i, affine in enumerate(affines):
            own, _ = split_affine(affine, self.K)
            assert (K is None) == ("K" not in self.contract.inputs)
            assert (boxes is None) == ("box" not in self.contract.inputs)
            if K is not None:
                np.testing.assert_allclose(K[i], own, atol=1e-6)
            if boxes is not None:
                middle = affine @ [*(boxes[i, :2] + boxes[i, 2:]) / 2, 1.0]
                np.testing.assert_allclose(middle, (self.contract.crop.size - 1) / 2, atol=1e-6)
        self.crops += affines
        return {name: np.stack([row[name] for row in rows]) for name in self.contract.outputs}

    def _row(self, affine):
        K, turn = split_affine(affine, self.K)
        mirrored = np.linalg.det(turn) < 0
        turned = {name: points @ turn.T for name, points in self.parts.items()}
        row = {name: self._coordinates(points, turned["joints"], K) for name, points in turned.items()}
        if mirrored:
            # The mirrored scene's box: its x axis has changed ends.
            row["corners"] = row["corners"][[4, 5, 6, 7, 0, 1, 2, 3]]
        pixels = 0.004 * K[1, 1] / self.parts["joints"][9, 2]
        uncertainty = {"metric": 0.004, "normalised": 0.004 / self._bone()}.get(self.contract.coordinates, pixels)
        row["uncertainty"] = np.full(21, uncertainty)
        row["left"] = 0.99 if self.left != mirrored else 0.01
        row["presence"] = 0.95
        row["holds"] = self.holds
        row["corner_uncertainty"] = np.full(8, uncertainty)
        row["category"] = np.array([0.2, 0.7, 0.1])
        return row

    def _bone(self) -> float:
        start, end = self.contract.bone
        return float(np.linalg.norm(self.parts["joints"][end] - self.parts["joints"][start]))

    def _coordinates(self, points, joints, K):
        if self.contract.coordinates == "metric":
            return points
        if self.contract.coordinates == "normalised":
            return points / self._bone()
        rays = points @ K.T
        uv = rays[:, :2] / rays[:, 2:]
        if self.contract.coordinates == "2.5d":
            return np.column_stack([uv, (points[:, 2] - joints[self.contract.root, 2]) / self._bone()])
        # Along the line of sight of joint 9, in pixels of the crop; see knuckle.predict.place.
        sight = joints[9] / joints[9, 2]
        focal = np.sqrt(abs(np.linalg.det(K[:2, :2])))
        return np.column_stack([uv, ((points @ sight) / (joints[9] @ sight) - 1.0) * focal * np.linalg.norm(sight)])


class KnowsThePlace:
    """A detector that finds one hand where its joints are."""

    def __init__(self, uv) -> None:
        self.uv = uv

    def __call__(self, picture, threshold, maximum):
        direction = self.uv[[5, 9, 13]].mean(0) - self.uv[0]
        return [Detection(box_of_joints(self.uv), 0.9, 0.5, direction / np.linalg.norm(direction))]


def write_onnx(path, contract: Contract, constants: dict, nodes=(), outputs=None, inputs=None, metadata=None):
    """An ONNX file that gives the same outputs for every crop, with the contract's names, and its metadata.

    Args:
        path: the file.
        contract: says inputs and names; `outputs` and `inputs` give the graph others.
        constants: an output's name to its values for one crop.
        nodes: more of the graph; what they make is not repeated.
        outputs, inputs: names of the graph, where they are to differ from the contract's.
        metadata: instead of the contract's.
    """
    size = contract.crop.size
    kinds = {
        "image": (TensorProto.UINT8, ["batch", size, size, 3]),
        "K": (TensorProto.FLOAT, ["batch", 3, 3]),
        "box": (TensorProto.FLOAT, ["batch", 4]),
        "joints": (TensorProto.FLOAT, ["batch", 21, 3]),
    }
    graph_inputs = [
        helper.make_tensor_value_info(name, *kinds.get(name, kinds["image"])) for name in inputs or contract.inputs
    ]
    made = list(nodes)
    stored = [
        numpy_helper.from_array(np.array([0], np.int64), "first"),
        numpy_helper.from_array(np.array([1], np.int64), "second"),
    ]
    made.append(helper.make_node("Shape", [(inputs or contract.inputs)[0]], ["input.shape"]))
    made.append(helper.make_node("Slice", ["input.shape", "first", "second"], ["count"]))
    infos = []
    for name in outputs or contract.outputs:
        if name in constants:
            values = np.asarray(constants[name], np.float32)
            sizes = np.ones(values.ndim, np.int64)
            stored += [
                numpy_helper.from_array(values[None], f"{name}.one"),
                numpy_helper.from_array(sizes, f"{name}.ones"),
            ]
            made.append(helper.make_node("Concat", ["count", f"{name}.ones"], [f"{name}.times"], axis=0))
            made.append(helper.make_node("Tile", [f"{name}.one", f"{name}.times"], [name]))
            shape = ["batch", *values.shape]
        else:
            shape = ["batch", 21, 3]
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    graph = helper.make_graph(made, "test", graph_inputs, infos, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (contract.to_metadata() if metadata is None else metadata).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def unproject_nodes(uv, depth):
    """Nodes whose output joints are the points at pixels of the crop and at depths (21,), by the input K.

    A crop of square pixels along the picture's axes: x = (u - cx) z / fx, and so for y.
    """
    depth = np.asarray(depth, np.float32)[:, None]

    def constant(name, values):
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(values, np.float32)))

    return [
        constant("uv", np.asarray(uv)[None]),
        constant("z", depth[None]),
        # K @ (0, 0, 1) is (cx, cy, 1); K @ (1, 1, 0) is (fx, fy, 0) without skew.
        constant("last", [[[0.0], [0.0], [1.0]]]),
        constant("both", [[[1.0], [1.0], [0.0]]]),
        helper.make_node("MatMul", ["K", "last"], ["centre.column"]),
        helper.make_node("MatMul", ["K", "both"], ["focal.column"]),
        helper.make_node("Transpose", ["centre.column"], ["centre.row"], perm=[0, 2, 1]),
        helper.make_node("Transpose", ["focal.column"], ["focal.row"], perm=[0, 2, 1]),
        helper.make_node("Constant", [], ["xy.from"], value=numpy_helper.from_array(np.array([0], np.int64))),
        helper.make_node("Constant", [], ["xy.to"], value=numpy_helper.from_array(np.array([2], np.int64))),
        helper.make_node("Constant", [], ["xy.axis"], value=numpy_helper.from_array(np.array([2], np.int64))),
        helper.make_node("Slice", ["centre.row", "xy.from", "xy.to", "xy.axis"], ["centre"]),
        helper.make_node("Slice", ["focal.row", "xy.from", "xy.to", "xy.axis"], ["focal"]),
        helper.make_node("Sub", ["uv", "centre"], ["off"]),
        helper.make_node("Div", ["off", "focal"], ["rays"]),
        helper.make_node("Mul", ["rays", "z"], ["xy"]),
        helper.make_node("Sub", ["xy", "xy"], ["zero.xy"]),
        helper.make_node("ReduceSum", ["zero.xy", "xy.axis"], ["zero"], keepdims=1),
        helper.make_node("Add", ["zero", "z"], ["z.batch"]),
        helper.make_node("Concat", ["xy", "z.batch"], ["joints"], axis=2),
    ]
