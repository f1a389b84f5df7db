"""The body's mesh, ready to render: its layers as one list of triangles, with what the shader needs at each corner."""

import numpy as np

from knuckle.synth.body import SIDES, BodyModel, cross
from knuckle.synth.scene import Look, SceneBody

# What is drawn: (name, layer of the asset, kind in the shader), the outermost first.
PARTS = (
    ("shirt", "shirt", 3),
    ("trousers", "trousers", 4),
    ("hair", "hair", 5),
    ("skin", "skin", 0),
    ("head", "head", 0),
    ("legs", "trousers", 0),
    ("mouth", "mouth", 1),
    ("eyes", "eyes", 2),
)
_HEAD = 0.575  # metres: the height on the average adult above which skin is a head's
OTHER = 255.0  # the label of a body in the mask
FOREARM = 100.0


class BodySurface:
    """The parts of the mesh that do not change from person to person, computed once.

    Attributes:
        corner_vertex: (C,) the vertex of each rendered corner; corner_still (C, 6) float32: place on the average adult,
            layer, how far along the arm (0 shoulder, 1 elbow, 2 wrist), and whether on the forearm's volar side.
        triangles: (F, 3) into the corners. ranges: by what is drawn ("body", "right" or "left" for an arm alone) and
            name of PARTS, the first and the number of its triangles.
        arm: (V,) how far along the arm each vertex is. side: (V,) -1 right, 1 left, 0 not on an arm.
        loose: (V, 3) metres from the average adult's skin to a shirt that hangs around it.
    """

    def __init__(self, model: BodyModel) -> None:
        self.model = model
        self.place = model.vertices
        self.arm, self.side = _along_arms(model)
        self.loose = _loosened(model, self.arm)
        self.faces = np.unique(np.concatenate(list(model.layers.values())), axis=0)
        flat = self.faces.reshape(-1)
        order = np.argsort(flat, kind="stable")
        self._face_of_corner = (np.arange(flat.size) // 3)[order]
        self._starts = np.searchsorted(flat[order], np.arange(len(model.vertices)))
        vertices, kinds, parts, count = [], [], [], 0
        skin = model.layers["skin"]
        # Faces are painted by a shader of their own, since a software renderer runs all of it for every pixel.
        on_head = (model.vertices[skin, 1].mean(1) > _HEAD) & (self.arm[skin].max(1) <= 0)
        layers = {**model.layers, "skin": skin[~on_head], "head": skin[on_head]}
        for _, layer, kind in PARTS:
            used, inverse = np.unique(layers[layer], return_inverse=True)
            vertices.append(used)
            kinds.append(np.full(len(used), kind))
            parts.append((inverse.reshape(-1, 3) + count).astype(np.int32))
            count += len(used)
        facing_up = self.normals(model.vertices)[:, 1]
        # 1 where the skin is upright: hair does not stand off from shoulders and jaws.
        self._upright = np.clip((0.6 - facing_up) / 0.4, 0, 1) * np.clip((facing_up + 0.6) / 0.4, 0, 1)
        self.corner_vertex = np.concatenate(vertices)
        self.corner_kind = np.concatenate(kinds)
        volar = self._volar()
        v = self.corner_vertex
        self.corner_still = np.column_stack([self.place[v], self.corner_kind, self.arm[v], volar[v]]).astype(np.float32)
        on_arm = self.side[self.corner_vertex] * (self.arm[self.corner_vertex] > 0.1)
        lists = {("body", name): part for (name, _, _), part in zip(PARTS, parts, strict=True)}
        for side, sign in zip(SIDES, (-1.0, 1.0), strict=True):
            lists |= {(side, n): lists["body", n][(on_arm[lists["body", n]] == sign).all(1)] for n in ("shirt", "skin")}
        ends = np.cumsum([len(part) for part in lists.values()])
        self.triangles = np.concatenate(list(lists.values()))
        self.ranges = {
            key: (int(end - len(part)), len(part)) for (key, part), end in zip(lists.items(), ends, strict=True)
        }

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """Unit vertex normals (V, 3) of posed vertices (V, 3)."""
        a, b, c = (vertices[self.faces[:, i]] for i in range(3))
        total = np.add.reduceat(cross(b - a, c - a)[self._face_of_corner], self._starts, axis=0)
        return total / np.maximum(np.sqrt((total * total).sum(-1, keepdims=True)), 1e-12)

    def corners(self, body: SceneBody) -> np.ndarray:
        """(C, 7) float32 of a posed body: position, normal, label."""
        v = self.corner_vertex
        base = np.where((self.corner_kind == 3)[:, None], body.shirt[v], body.vertices[v])
        position = base + body.normals[v] * self.thickness(body.look)[:, None]
        return np.column_stack([position, body.normals[v], self.labels(body)]).astype(np.float32)

    def labels(self, body: SceneBody) -> np.ndarray:
        """(C,) the value of each corner in the visible mask: that of a forearm for the arm of a hand, else 255."""
        arm, side = self.arm[self.corner_vertex], self.side[self.corner_vertex]
        label = np.full(len(arm), OTHER)
        for sign, hand in zip((-1.0, 1.0), body.hands, strict=True):
            if hand is not None:
                label[(side == sign) & (arm > 1.0)] = FOREARM + hand + 1
        return label

    def thickness(self, look: Look) -> np.ndarray:
        """(C,) metres of each corner off the skin."""
        y, arm = self.place[self.corner_vertex, 1], self.arm[self.corner_vertex]
        # A shirt hangs looser at the waist and at the ends of its sleeves, and is tight around the neck.
        near_neck = np.clip((y - 0.5) / 0.08, 0, 1) * (arm <= 0)
        loose = 1 + 0.8 * np.clip((0.3 - y) / 0.3, 0, 1) * (arm <= 0) + 0.5 * np.clip(arm / max(look.sleeve, 0.1), 0, 1)
        shirt = look.shirt_thickness * loose * (1 - 0.6 * near_neck)
        trousers = look.trousers_thickness * (1 + np.clip((-0.35 - y) / 0.4, 0, 1))
        if look.bare_legs:
            trousers = np.where(y < look.trousers_ends[1] + 0.02, 0.0005, trousers)
        trousers = np.where(y < look.trousers_ends[2], 0.008, trousers)
        hair = look.hair_thickness * np.clip((y - self.hairline(look)[self.corner_vertex] + 0.004) / 0.03, 0, 1)
        # Long hair hangs away from the neck, which is thinner than the head.
        away = np.where(y > 0.55, 0.028 * np.clip((0.67 - y) / 0.05, 0, 1), 0.014)
        hair = np.where(y < 0.67, look.hair_thickness + away * self._upright[self.corner_vertex], hair)
        kinds = [np.zeros_like(y), np.zeros_like(y), np.zeros_like(y), shirt, trousers, hair]
        return np.choose(self.corner_kind, kinds)

    def outermost(self, look: Look) -> np.ndarray:
        """(V,) metres of what is worn off the skin at each vertex."""
        off = np.zeros(len(self.place))
        np.maximum.at(off, self.corner_vertex, self.thickness(look) * ~self._is_cut(look))
        return off

    def _is_cut(self, look: Look) -> np.ndarray:
        """(C,) whether the shader leaves out the layer at a corner; roughly."""
        y, arm = self.place[self.corner_vertex, 1], self.arm[self.corner_vertex]
        never = np.zeros(len(y), bool)
        shirt = (arm > look.sleeve) | (y < look.hem) | ((y > 0.56) & (arm <= 0))
        hair = (y < self.hairline(look)[self.corner_vertex]) | (look.hair_thickness == 0)
        return np.choose(self.corner_kind, [never, never, never, shirt, never, hair])

    def hairline(self, look: Look) -> np.ndarray:
        """(V,) the height at which the hair begins, as the shader has it."""
        z = self.place[:, 2]
        front, back = _smoothstep(0.06, 0.115, z), _smoothstep(0.035, -0.015, z)
        high, side, behind, _ = look.hairline
        line = side + (high - side) * front
        return line + (behind - line) * back

    def _volar(self) -> np.ndarray:
        """(V,) 1 on the palm's side of the forearm's end, 0 on its back and towards the elbow."""
        model, joints = self.model, dict(zip(self.model.joint_names, self.model.joints, strict=True))
        normals, volar = self.normals(model.vertices), np.zeros(len(model.vertices))
        for side, sign in zip(SIDES, (-1.0, 1.0), strict=True):
            thumb = joints[f"{side}_index_base"] - joints[f"{side}_little_base"]
            palm = sign * -cross(thumb, joints[f"{side}_wrist"] - joints[f"{side}_elbow"])
            facing = _smoothstep(-0.25, 0.45, normals @ (palm / np.linalg.norm(palm)))
            volar += facing * np.clip(2 * (self.arm - 1), 0, 1) * (self.side == sign)
        return volar


def _along_arms(model: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """How far along its arm each vertex is (V,), 0 to 2 and a little more, and on which side (V,)."""
    joints = dict(zip(model.joint_names, model.joints, strict=True))
    arm, of_side = np.zeros(len(model.vertices)), np.zeros(len(model.vertices))
    for side, sign in zip(SIDES, (-1.0, 1.0), strict=True):
        bones = [i for i, name in enumerate(model.bone_names) if name.startswith((f"{side}_upper", f"{side}_fore"))]
        weight = model.weights[:, bones].sum(1)
        lower = model.weights[:, [i for i in bones if "fore" in model.bone_names[i]]].sum(1)
        shoulder, elbow, wrist = (joints[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
        first = (model.vertices - shoulder) @ (elbow - shoulder) / ((elbow - shoulder) @ (elbow - shoulder))
        second = (model.vertices - elbow) @ (wrist - elbow) / ((wrist - elbow) @ (wrist - elbow))
        along = np.where(lower > 0.5 * weight, 1 + np.maximum(second, 0), np.clip(first, 0.02, 1))
        on = weight > 0.5
        arm[on], of_side[on] = along[on], sign
    return arm, of_side


def _loosened(model: BodyModel, arm: np.ndarray) -> np.ndarray:
    """(V, 3) from the skin of the average adult to a shirt, which does not follow it into its hollows: around the trunk
    at each height it is the convex hull of what is within a few centimetres, and it is as wide at its hem as above."""
    shirt = np.unique(model.layers["shirt"])
    trunk = shirt[arm[shirt] <= 0]
    place, moved = model.vertices, np.zeros_like(model.vertices)
    angles = np.linspace(-np.pi, np.pi, 72, endpoint=False)
    directions = np.stack([np.sin(angles), np.cos(angles)], -1)
    for v in trunk:
        y = place[v, 1]
        if y > 0.45:
            continue
        # Below the breast a shirt hangs: it is as wide as what is above, too.
        near = trunk[(place[trunk, 1] > y - 0.03) & (place[trunk, 1] < y + (0.03 if y > 0.3 else 0.12))]
        centre = np.array([0.0, 0.02])
        support = ((place[near][:, [0, 2]] - centre) @ directions.T).max(0)
        offset = place[v, [0, 2]] - centre
        radius = float(np.linalg.norm(offset))
        towards = offset / max(radius, 1e-6)
        along = directions @ towards
        hull = float((support[along > 0.2] / along[along > 0.2]).min())
        moved[v, [0, 2]] = 0.85 * max(0.0, hull - radius) * towards
    return moved * _smoothstep(0.45, 0.36, place[:, 1])[:, None]


def _smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
