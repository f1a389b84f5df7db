"""Tiny data sets in each set's own file format, written from known hands, with every joint drawn into the picture.

Nothing here uses the package's cameras or permutations: orders, signs and units are spelled out again, from the sets'
own descriptions, so that a mistake in a reader shows.
"""

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.io

from knuckle.handmodel import HandModel

# Index in the set of every joint in the common order.
RHD = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]
STB = [0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]
MANO = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]
FPHA = [0, 1, 6, 7, 8, 2, 9, 10, 11, 3, 12, 13, 14, 4, 15, 16, 17, 5, 18, 19, 20]
INTERHAND = [20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16]
GL = np.array([1.0, -1.0, -1.0])


@dataclass
class TinySet:
    """root: the folder. joints: (N, 21, 3) metres, camera frame, common order. left: (N,)."""

    root: Path
    joints: np.ndarray
    left: np.ndarray


def stored(joints, order):
    """Joints in a set's order: stored[order[i]] = joints[i]."""
    out = np.empty_like(joints)
    out[..., order, :] = joints
    return out


def hands(n, left, seed=0, depth=0.5, spread=0.02):
    """(n, 21, 3) bent hands before the camera and (n, 778, 3) points of their skin."""
    rng = np.random.default_rng(seed)
    model = HandModel.open()
    angles = rng.uniform(0.0, 0.6, (n, 23))
    pose = np.tile(np.eye(4), (n, 1, 1))
    for i in range(n):
        # Fingers up, palm to the camera, then turned at random.
        turn = cv2.Rodrigues(rng.normal(size=3) * 0.4)[0] @ np.diag([1.0, -1.0, -1.0])
        pose[i, :3, :3] = turn
        pose[i, :3, 3] = [rng.normal() * spread, 0.06 + rng.normal() * spread, depth + rng.normal() * 0.02]
    posed = model(angles=angles, T_camera_hand=pose, side=np.broadcast_to(np.asarray(left), (n,)).copy())
    return np.asarray(posed.joints), np.asarray(posed.vertices)[:, :778]


def dots(joints, K, size, path, valid=None):
    """A dark picture with a white dot at every joint, projected by OpenCV."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    uv = cv2.projectPoints(np.asarray(joints, np.float64), np.zeros(3), np.zeros(3), np.asarray(K, float), None)[0]
    for j, (u, v) in enumerate(uv[:, 0]):
        if valid is None or valid[j]:
            cv2.circle(picture, (round(u), round(v)), 3, (255, 255, 255), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jpeg" or path.suffix == ".jpg":
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 98])
    else:
        cv2.imwrite(str(path), picture)
    return uv[:, 0]


def dump(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def freihand(root, n=4):
    joints, vertices = hands(n, left=False)
    K = np.array([[480.0, 0, 112], [0, 478.0, 112], [0, 0, 1]])
    for split, versions in (("evaluation", 1), ("training", 4)):
        dump(root / f"{split}_K.json", [K.tolist()] * n)
        dump(root / f"{split}_xyz.json", joints.tolist())
        dump(root / f"{split}_verts.json", vertices.tolist())
        dump(root / f"{split}_scale.json", np.linalg.norm(joints[:, 9] - joints[:, 10], axis=1).tolist())
        for i in range(n * versions):
            dots(joints[i % n], K, (224, 224), root / split / "rgb" / f"{i:08d}.jpg")
    for i in range(n):
        dots(joints[i], K, (224, 224), root / "training" / "mask" / f"{i:08d}.jpg")
    return TinySet(root, joints, np.zeros(n, bool))


def rhd(root, n=3):
    K = np.array([[300.0, 0, 160], [0, 300, 160], [0, 0, 1]])
    both = {side: hands(n, left=side == "left", seed=k)[0] for k, side in enumerate(("left", "right"))}
    left = np.arange(n) % 2 == 0
    folder, annotations = root / "evaluation", {}
    for i in range(n):
        # The other hand is in the picture too, to the side and small in the mask.
        shown = {"left": both["left"][i] + [-0.1, 0, 0], "right": both["right"][i] + [0.1, 0, 0]}
        xyz = np.concatenate([stored(shown["left"], RHD), stored(shown["right"], RHD)])
        uv = cv2.projectPoints(xyz, np.zeros(3), np.zeros(3), K, None)[0][:, 0]
        visible = np.ones(42)
        visible[[3, 24]] = 0
        annotations[i] = {"uv_vis": np.concatenate([uv, visible[:, None]], 1), "xyz": xyz, "K": K}
        dots(xyz, K, (320, 320), folder / "color" / f"{i:05d}.png")
        mask = np.ones((320, 320), np.uint8)
        mask[:200, :100] = 5 if left[i] else 1  # parts 2-17: left
        mask[:100, 200:300] = 20  # parts 18-33: right
        (folder / "mask").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "mask" / f"{i:05d}.png"), mask)
        both["left"][i], both["right"][i] = shown["left"], shown["right"]
    (folder / "anno_evaluation.pickle").write_bytes(pickle.dumps(annotations, protocol=2))
    joints = np.where(left[:, None, None], both["left"], both["right"])
    return TinySet(root, joints, left)


def stb(root, view="BB_left", n=2):
    """Joint 0 of the truth is the palm, as the set has it."""
    joints, _ = hands(2 * n, left=True, depth=0.6)
    joints[:, 0] = (joints[:, 0] + joints[:, 9]) / 2
    K = {"BB": [[822.79041, 0, 318.47345], [0, 822.79041, 250.31296], [0, 0, 1]]}
    K["SK"] = [[607.92271, 0, 314.78337], [0, 607.88192, 236.42484], [0, 0, 1]]
    kind = view[:2]
    labels = 1000.0 * joints
    if view == "BB_right":
        labels = labels + np.array([120.054, 0, 0])
    if kind == "SK":  # labels are in the depth camera: depth = R colour + t
        turn = cv2.Rodrigues(np.array([0.00531, -0.01196, 0.00301]))[0]
        labels = labels @ turn.T + [-24.0381, -0.4563, -1.2326]
    for k, sequence in enumerate(("B1Counting", "B1Random")):
        part = slice(k * n, (k + 1) * n)
        hand_para = stored(labels[part], STB).transpose(2, 1, 0)  # (3, 21, n)
        (root / "labels").mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(root / "labels" / f"{sequence}_{kind}.mat", {"handPara": hand_para})
        for i in range(n):
            dots(joints[k * n + i], K[kind], (640, 480), root / "images" / sequence / f"{view}_{i}.png")
    return TinySet(root, joints, np.ones(2 * n, bool))


def dexter_object(root, n=2):
    turn = np.array([[0.9999, 0.0034, 0.0161], [-0.0033, 1.0000, -0.0079], [-0.0162, 0.0079, 0.9998]])
    K = np.array([[587.45209, 0, 325], [0, 600.67456, 249], [0, 0, 1]])
    sequences = ("Grasp1", "Grasp2", "Occlusion", "Rigid", "Pinch", "Rotate")
    joints, _ = hands(n * len(sequences), left=True, depth=0.5)
    truth = np.full_like(joints, np.nan)
    tips = [4, 8, 12, 16, 20]
    truth[:, tips] = joints[:, tips]
    truth[0, 8] = np.nan
    for k, sequence in enumerate(sequences):
        lines = []
        for i in range(n):
            hand = joints[k * n + i, tips]
            depth = np.linalg.solve(turn, (1000.0 * hand - [19.0473, -1.8514, -4.7501]).T).T * [-1, -1, 1]
            if k == 0 and i == 0:
                depth[1] = [0, 0, 32001]
            lines.append(" ".join(f"{x:.6f}, {y:.6f}, {z:.6f};" for x, y, z in depth))
            dots(hand, K, (640, 480), root / "data" / sequence / "color" / f"image_{i:05d}_color.png")
        (root / "data" / sequence / "annotations").mkdir()
        (root / "data" / sequence / "annotations" / f"{sequence}3D.txt").write_text("\n".join(lines) + "\n")
    return TinySet(root, truth, np.ones(len(truth), bool))


def box_corners(half):
    """In the binary order 4x + 2y + z."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    return signs * half


def ho3d(root, version="v2", n=3, published=True):
    joints, vertices = hands(n, left=False, depth=0.6)
    K = np.array([[614.6, 0, 320.1], [0, 614.1, 241.7], [0, 0, 1]])
    ending = "png" if version == "v2" else "jpg"
    names = [f"SM{i % 2}/{i:04d}" for i in range(n)]
    rest = box_corners([0.1, 0.03, 0.05])[[0, 4, 6, 2, 1, 5, 7, 3]]  # some other order, as sets differ
    for split in ("evaluation", "train"):
        (root / f"{split}.txt").parent.mkdir(parents=True, exist_ok=True)
        (root / f"{split}.txt").write_text("\n".join(names) + "\n")
        for i, name in enumerate(names):
            sequence, number = name.split("/")
            turn = np.array([0.1, 0.2, 0.3 + i])
            shift = np.array([0.01, -0.02, -0.6])
            corners = rest @ cv2.Rodrigues(turn)[0].T + shift
            meta = {
                "camMat": K,
                "handJoints3D": stored(joints[i], MANO) * GL if split == "train" else joints[i, 0] * GL,
                "objRot": turn[:, None],
                "objTrans": shift,
                "objCorners3D": corners,
                "objCorners3DRest": rest,
                "objName": "010_potted_meat_can",
                "objLabel": 9,
            }
            if split == "train":
                meta |= {"handPose": np.zeros(48), "handTrans": np.zeros(3), "handBeta": np.zeros(10)}
            else:
                meta["handBoundingBox"] = [10, 20, 110, 220]
            if split == "train" and i == n - 1:
                meta |= {"handJoints3D": None, "objRot": None, "handPose": None}
            path = root / split / sequence / "meta" / f"{number}.pkl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps(meta, protocol=2))
            dots(joints[i], K, (640, 480), root / split / sequence / "rgb" / f"{number}.{ending}")
    if published:
        dump(root / "evaluation_xyz.json", (stored(joints, MANO) * GL).tolist())
        dump(root / "evaluation_verts.json", (vertices * GL).tolist())
    return TinySet(root, joints, np.zeros(n, bool))


def fpha(root, n=2):
    turn = np.array(
        [
            [0.999988496304, -0.00468848412856, 0.000982563360594],
            [0.00469115935266, 0.999985218048, -0.00273845880292],
            [-0.000969709653873, 0.00274303671904, 0.99999576807],
        ]
    )
    shift = np.array([25.7, 1.22, 3.902])
    K = np.array([[1395.749023, 0, 935.732544], [0, 1395.749268, 540.681030], [0, 0, 1]])
    sequences = [(s, a, k) for s in (1, 2) for a, k in (("open_milk", 1), ("open_milk", 3), ("put_salt", 3))]
    joints, _ = hands(n * len(sequences), left=False, depth=0.5)
    for k, (subject, action, number) in enumerate(sequences):
        parts = (f"Subject_{subject}", action, str(number))
        rows, poses = [], []
        for i in range(n):
            hand = joints[k * n + i]
            world = np.linalg.solve(turn, (1000.0 * hand - shift).T).T
            rows.append(" ".join(map(repr, [i, *stored(world, FPHA).ravel().tolist()])))
            pose = np.eye(4)
            pose[:3, :3] = cv2.Rodrigues(np.array([0.2, 0.1 * i, 0.3]))[0]
            pose[:3, 3] = 1000.0 * hand.mean(0)
            poses.append(" ".join(map(repr, [i, *pose.T.ravel().tolist()])))  # column by column
            dots(hand, K, (1920, 1080), root.joinpath("Video_files", *parts, "color", f"color_{i:04d}.jpeg"))
        folder = root.joinpath("Hand_pose_annotation_v1", *parts)
        folder.mkdir(parents=True)
        (folder / "skeleton.txt").write_text("\n".join(rows) + "\n")
        if action == "open_milk":
            folder = root.joinpath("Object_6D_pose_annotation_v1", *parts)
            folder.mkdir(parents=True)
            (folder / "object_pose.txt").write_text("\n".join(poses) + "\n")
    # A carton 24 x 10 x 6 cm, its long side along z.
    corners = box_corners([0.05, 0.03, 0.12])
    folder = root / "Object_models" / "milk_model"
    folder.mkdir(parents=True)
    lines = "\n".join(" ".join(map(str, c)) for c in corners.tolist())
    faces = "\n".join(
        f"3 {a} {b} {c}" for a, b, c in ((0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (2, 3, 7))
    )
    (folder / "milk_model.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 8\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face 6\nproperty list uchar int vertex_indices\nend_header\n{lines}\n{faces}\n"
    )
    return TinySet(root, joints, np.zeros(len(joints), bool))


def obman(root, n=3):
    affine = np.diag([0.2, 0.2, 0.2, 1.0])
    affine[:3, 3] = [0.01, 0.0, -0.6]
    joints, vertices = hands(n, left=False, depth=0.6)
    K = np.array([[480.0, 0, 128], [0, 480, 128], [0, 0, 1]])
    for i in range(n):
        uv = dots(joints[i], K, (256, 256), root / "test" / "rgb" / f"{10 * i:08d}.jpg")
        meta = {
            "coords_2d": uv,
            "coords_3d": joints[i] * GL,
            "verts_3d": vertices[i] * GL,
            "side": "right",
            "class_id": "02876657",
            "sample_id": "abc",
            "obj_path": "/renderer/ShapeNetCore.v2/02876657/abc/models/model_normalized.obj",
            "affine_transform": affine,
        }
        path = root / "test" / "meta" / f"{10 * i:08d}.pkl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(meta, protocol=2))
    return TinySet(root, joints, np.zeros(n, bool))


def ganerated(root, n=2):
    joints, _ = hands(2 * n, left=True, depth=0.5)
    for k, kind in enumerate(("noObject", "withObject")):
        for i in range(n):
            hand = joints[k * n + i]
            crop_u, crop_v, scale = 150.0 + i, 90.0, 0.8
            K = np.array([[617.173, 0, 315.453], [0, 617.173, 242.259], [0, 0, 1]])
            A = np.array([[scale, 0, -scale * crop_u], [0, scale, -scale * crop_v], [0, 0, 1]])
            name = root / kind / "0001" / f"{i + 1:04d}"
            uv = dots(hand, A @ K, (256, 256), Path(f"{name}_color_composed.png"))
            for ending, numbers in (
                ("joint_pos_global", 1000.0 * hand),
                ("joint_pos", hand / 0.1),
                ("joint2D", uv),
                ("crop_params", np.array([crop_u, crop_v, scale])),
            ):
                Path(f"{name}_{ending}.txt").write_text(",".join(map(repr, numbers.ravel().tolist())))
    return TinySet(root, joints, np.ones(2 * n, bool))


def hop(root, n=4):
    joints, _ = hands(n, left=False, depth=0.5)
    K = np.array([[300.0, 0, 160], [0, 300, 160], [0, 0, 1]])
    uv = np.zeros((n, 21, 3))
    for i in range(n):
        name = f"{i}{1 + i % 4}_hand.png"
        uv[i, :, :2] = dots(joints[i], K, (320, 320), root / "color" / name)
        uv[i, :, 2] = 1
        for folder in ("mask_hand", "mask_object"):
            (root / folder).mkdir(exist_ok=True)
            cv2.imwrite(str(root / folder / name), np.full((320, 320), 255 if folder == "mask_hand" else 0, np.uint8))
    (root / "color").mkdir(exist_ok=True)
    uv_vis = np.stack([stored(h, RHD) for h in uv])
    scipy.io.savemat(root / "annotation.mat", {"uv_vis": uv_vis, "xyz": stored(joints, RHD), "K": K})
    return TinySet(root, joints, np.zeros(n, bool))


def dexycb(root, frames=2):
    """Three subjects of five sequences each; the fifth of the third is s0's test."""
    serial, K = "836212060125", np.array([[615.0, 0, 312.0], [0, 614.0, 241.0], [0, 0, 1]])
    folder = root / "calibration" / "intrinsics"
    folder.mkdir(parents=True)
    (folder / f"{serial}_640x480.yml").write_text("color:\n  fx: 615.0\n  fy: 614.0\n  ppx: 312.0\n  ppy: 241.0\n")
    joints, left = [], []
    for subject in range(1, 4):
        for sequence in range(5):
            side = "left" if sequence % 2 else "right"
            folder = root / f"20200709-subject-{subject:02d}" / f"20200709_14{sequence:04d}"
            (folder / serial).mkdir(parents=True)
            (folder / "meta.yml").write_text(
                f"ycb_ids:\n- 5\n- 9\nycb_grasp_ind: 1\nmano_sides:\n- {side}\nmano_calib:\n- x\n"
                f"num_frames: {frames + 1}\n"
            )
            hand, _ = hands(frames, left=side == "left", seed=10 * subject + sequence, depth=0.7)
            for i in range(frames + 1):  # the last frame has no hand
                shown = hand[i] if i < frames else None
                seg = np.zeros((480, 640), np.uint8)
                seg[:10], seg[10:20] = 255, 9
                pose = np.tile(np.eye(4)[:3], (2, 1, 1)).astype(np.float32)
                pose[1, :, 3] = [0.01, 0.02, 0.7]
                path = folder / serial / f"color_{i:06d}.jpg"
                uv = (
                    dots(np.zeros((0, 3)) if shown is None else shown, K, (640, 480), path)
                    if shown is not None
                    else None
                )
                if shown is None:
                    cv2.imwrite(str(path), np.zeros((480, 640, 3), np.uint8))
                np.savez(
                    folder / serial / f"labels_{i:06d}.npz",
                    seg=seg,
                    pose_y=pose,
                    pose_m=np.zeros((1, 51), np.float32),
                    joint_3d=np.full((1, 21, 3), -1.0) if shown is None else shown[None],
                    joint_2d=np.full((1, 21, 2), -1.0) if uv is None else uv[None],
                )
            if subject == 3 and sequence == 4:
                joints, left = hand, np.full(frames, side == "left")
    return TinySet(root, np.asarray(joints), np.asarray(left))


def interhand(root):
    """One right hand, one left, one picture of both, in which a joint and a wrist are not labelled."""
    right, left = hands(2, left=False, seed=1, depth=0.8)[0], hands(2, left=True, seed=2, depth=0.8)[0]
    left = left + np.array([0.08, 0, 0])
    turn, where = cv2.Rodrigues(np.array([0.1, -0.2, 0.05]))[0], np.array([10.0, -20.0, -300.0])
    K = np.array([[900.0, 0, 256.0], [0, 905.0, 167.0], [0, 0, 1]])
    images, annotations, world = [], [], {}
    shown = [("right", right[0], None), ("left", None, left[0]), ("interacting", right[1], left[1])]
    for i, (kind, r, ll) in enumerate(shown):
        coordinates = np.zeros((42, 3))
        valid = np.zeros((42, 1))
        drawn = []
        for hand, rows in ((r, slice(0, 21)), (ll, slice(21, 42))):
            if hand is not None:
                coordinates[rows] = stored(1000.0 * hand, INTERHAND) @ turn + where  # cam = R (world - campos)
                valid[rows] = 1
                drawn.append(hand)
        if kind == "interacting":
            valid[3] = 0  # the right thumb's first joint
        images.append(
            {"id": i, "file_name": f"Capture0/seq/cam40/image{i}.jpg", "width": 512, "height": 334}
            | {"capture": 0, "camera": "40", "frame_idx": 7 + i, "seq_name": "seq"}
        )
        annotations.append(
            {"id": i, "image_id": i, "bbox": [10, 20, 100, 110], "joint_valid": valid.tolist(), "hand_type": kind}
            | {"hand_type_valid": 1}
        )
        world[str(7 + i)] = {"world_coord": coordinates.tolist()}
        dots(np.concatenate(drawn), K, (512, 334), root / "images" / "test" / images[-1]["file_name"])
    camera = {"campos": {"40": where.tolist()}, "camrot": {"40": turn.tolist()}}
    camera |= {"focal": {"40": [900.0, 905.0]}, "princpt": {"40": [256.0, 167.0]}}
    folder = root / "annotations" / "test"
    dump(folder / "InterHand2.6M_test_data.json", {"images": images, "annotations": annotations})
    dump(folder / "InterHand2.6M_test_camera.json", {"0": camera})
    dump(folder / "InterHand2.6M_test_joint_3d.json", {"0": world})
    joints = np.stack([right[0], left[0], right[1], left[1]])
    joints[2, 1] = np.nan
    return TinySet(root, joints, np.array([False, True, False, True]))


def coco(root):
    joints, _ = hands(2, left=[True, False], depth=0.6)
    K = np.array([[500.0, 0, 160], [0, 500, 120], [0, 0, 1]])
    uv = [dots(joints[i], K, (320, 240), root / "pictures" / f"{i}.jpg") for i in range(2)]
    keypoints = [np.concatenate([p, np.full((21, 1), 2.0)], 1) for p in uv]
    keypoints[1][5] = 0
    people = [
        {"id": 1, "image_id": 0, "lefthand_kpts": keypoints[0].ravel().tolist(), "lefthand_valid": True}
        | {"lefthand_box": [100, 50, 60, 70], "righthand_kpts": [0] * 63, "righthand_valid": False},
        {"id": 2, "image_id": 1, "righthand_kpts": keypoints[1].ravel().tolist(), "righthand_valid": True}
        | {"righthand_box": [100, 50, 60, 70], "lefthand_valid": False},
    ]
    pictures = [{"id": i, "file_name": f"pictures/{i}.jpg", "width": 320, "height": 240} for i in range(2)]
    dump(root / "annotations.json", {"images": pictures, "annotations": people})
    return TinySet(root, joints, np.array([True, False])), np.stack(uv)


def truth_list(root, n=4):
    left = np.arange(n) % 2 == 0
    joints, _ = hands(n, left=left, depth=0.5)
    K = np.array([[480.0, 0, 128], [0, 480, 128], [0, 0, 1]])
    entries = []
    for i in range(n):
        dots(joints[i], K, (256, 256), root / "images" / f"{i:05d}.jpg")
        side = "left" if left[i] else "right"
        entries.append({"image": f"{i:05d}.jpg", "side": side, "K": K.tolist(), "joints_camera": joints[i].tolist()})
    dump(root / "truth.json", entries)
    return TinySet(root, joints, left)


def arrays(root, n=3):
    joints, _ = hands(n, left=False, depth=0.5)
    np.save(root / "joints.npy", joints)
    return TinySet(root, joints, np.zeros(n, bool))


def weak(root):
    """A picture of two hands, one of one hand, one of a hand with a box only, one of none; two groups."""
    left = np.array([True, False, True])
    joints, _ = hands(4, left=[*left, False], depth=0.6)
    joints[0] -= [0.08, 0, 0]
    joints[1] += [0.08, 0, 0]
    K = np.array([[400.0, 0, 160], [0, 400, 120], [0, 0, 1]])
    dots(joints[:2].reshape(-1, 3), K, (320, 240), root / "day1" / "a.jpg")
    for k, name in enumerate(("day1/b.jpg", "day2/c.jpg", "day2/d.jpg")):
        dots(joints[min(k + 2, 3)] if k < 2 else np.full((1, 3), 1.0), K, (320, 240), root / name)
    uv = np.stack([cv2.projectPoints(j, np.zeros(3), np.zeros(3), K, None)[0][:, 0] for j in joints])
    labelled = [
        {
            "box": [*p.min(0), *p.max(0)],
            "side": "left" if is_left else "right",
            "score": 0.9,
            "joints_image": p.tolist(),
        }
        for p, is_left in zip(uv, left, strict=False)
    ]
    del labelled[2]["box"]
    labelled[2]["joints_image"][5] = [None, None]
    uv[2, 5] = np.nan
    shown = {"day1/a.jpg": labelled[:2], "day1/b.jpg": labelled[2:]}
    shown |= {"day2/c.jpg": [{"box": [*uv[3].min(0), *uv[3].max(0)]}], "day2/d.jpg": []}
    pictures = [{"image": name, "size": [320, 240], "group": name[:4], "hands": found} for name, found in shown.items()]
    dump(root / "labels.json", pictures)
    return TinySet(root, joints[:3], left), uv[:3]
