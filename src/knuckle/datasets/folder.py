"""Your own folder: pictures with COCO-WholeBody hands, with a truth.json, or labels as .npy arrays."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.layout import BrokenDataset, choice, entry, read_json, read_lines, records_of, require
from knuckle.datasets.reader import Reader, picture_group
from knuckle.files import RefusedFile, map_npy
from knuckle.sample import Sample


class CocoHands(Reader):
    """Pictures with COCO-WholeBody's hand annotations: 2D joints, boxes, both sides.

    Args:
        root: the folder with the pictures.
        split: "all", all there is.
        images: read pictures.
        annotations: the JSON file; None takes the only .json in the folder.
    """

    source = "coco"
    training_split = "all"
    layout = (
        "  annotations.json    COCO: images (id, file_name, width, height), annotations (image_id, lefthand_kpts and\n"
        "                      righthand_kpts of 63 numbers u, v, visible; lefthand_box x, y, w, h; lefthand_valid)\n"
        "  *.jpg, or wherever file_name points"
    )

    def __init__(
        self, root: Path | str, split: str = "all", images: bool = True, annotations: Path | str | None = None
    ):
        super().__init__(root, choice("split", split, ("all",)), images)
        self._path = Path(annotations) if annotations is not None else self._only_json()
        data = read_json(self._path, self.layout)
        if not isinstance(data, dict) or not {"images", "annotations"} <= set(data):
            raise BrokenDataset(f"{self._path} must hold COCO's images and annotations; see\n{self.layout}")
        self._hands: list[tuple[dict[str, Any], dict[str, Any], str]] = []
        with records_of(self._path):
            self._ids = self._listed(data)

    def _listed(self, data: dict[str, Any]) -> list[str]:
        """Fills the list of hands, and returns their ids."""
        pictures = {p["id"]: p for p in data["images"]}
        counts: dict[Any, int] = {}
        for person in data["annotations"]:
            if person["image_id"] not in pictures:
                raise BrokenDataset(f"{self._path} must list the picture {person['image_id']} but does not; truncated?")
            for side in ("left", "right"):
                if person.get(f"{side}hand_valid", f"{side}hand_kpts" in person):
                    self._hands.append((pictures[person["image_id"]], person, side))
                    counts[person["image_id"]] = counts.get(person["image_id"], 0) + 1
        # An id names the hand only where its picture has several.
        numbers: dict[Any, int] = {}
        ids = []
        for picture, _, _ in self._hands:
            number = numbers[picture["id"]] = numbers.get(picture["id"], -1) + 1
            name = str(Path(picture["file_name"]).with_suffix(""))
            ids.append(name if counts[picture["id"]] == 1 else f"{name}:{number}")
        return ids

    def _only_json(self) -> Path:
        found = sorted(self.root.glob("*.json"))
        if len(found) != 1:
            names = ", ".join(p.name for p in found) or "none"
            raise FileNotFoundError(f"{self.root} must hold one .json file but holds {names}; see\n{self.layout}")
        return found[0]

    def __len__(self) -> int:
        return len(self._hands)

    def picture(self, index: int) -> Path:
        return self.root / self._hands[index][0]["file_name"]

    def labels(self, index: int) -> Sample:
        _, person, side = self._hands[index]
        points = entry(person, f"{side}hand_kpts", (21, 3), self._path)
        labelled = points[:, 2] > 0
        box = None
        if person.get(f"{side}hand_box") is not None:
            x, y, w, h = entry(person, f"{side}hand_box", (4,), self._path)
            box = np.array([x, y, x + w, y + h]) if w > 0 and h > 0 else None
        return Sample(
            side="left" if side == "left" else "right",
            joints_image=np.where(labelled[:, None], points[:, :2], np.nan),
            box=box,
            source=self.source,
            id=self._ids[index],
        )


class TruthList(Reader):
    """A list of hands in truth.json, with pictures in images/ (or beside it).

    Each entry: "image", "side", "joints_camera" (21 x 3, metres, common order; null for an unlabelled joint) and where
    known "K" (3 x 3), "joints_image" (21 x 2), "vertices_camera" (V x 3), "box" (4), "id"; of what is held
    "object_corners_camera" (8 x 3, in the order of skeleton.BOX_CORNERS) and "object_category".

    Args:
        root: the folder that holds truth.json.
        split: "all", all there is.
        images: read pictures.
    """

    source = "own"
    training_split = "all"
    layout = (
        '  truth.json    [{"image": "0001.jpg", "side": "left", "K": 3x3, "joints_camera": 21x3}, ...]\n'
        "  images/0001.jpg ..."
    )

    def __init__(self, root: Path | str, split: str = "all", images: bool = True):
        super().__init__(root, choice("split", split, ("all",)), images)
        self._path = self.root / "truth.json"
        self._entries = read_json(self._path, self.layout)
        if not isinstance(self._entries, list) or not all(isinstance(e, dict) and "image" in e for e in self._entries):
            raise BrokenDataset(f"{self._path} must be a list of hands with 'image' but is not; see\n{self.layout}")
        with records_of(self._path):
            names = [str(e.get("id", Path(e["image"]).with_suffix(""))) for e in self._entries]
        counts, seen = Counter(names), Counter()
        self._ids = []
        for name in names:
            self._ids.append(f"{name}:{seen[name]}" if counts[name] > 1 else name)
            seen[name] += 1

    def __len__(self) -> int:
        return len(self._entries)

    def picture(self, index: int) -> Path:
        name = self._entries[index]["image"]
        inside = self.root / "images" / name
        return inside if inside.exists() else self.root / name

    def group(self, index: int) -> str:
        return picture_group(Path(self._entries[index]["image"]), self.root)

    def labels(self, index: int) -> Sample:
        hand = self._entries[index]

        def array(key: str, shape: tuple[int, ...]) -> np.ndarray | None:
            return None if hand.get(key) is None else entry(hand, key, shape, self._path)

        K = array("K", (3, 3))
        mesh = hand.get("vertices_camera")
        return Sample(
            camera=None if K is None else Camera(K),
            side=hand.get("side"),
            joints_camera=array("joints_camera", (21, 3)),
            joints_image=array("joints_image", (21, 2)),
            vertices_camera=None if mesh is None else entry(hand, "vertices_camera", (len(mesh), 3), self._path),
            box=array("box", (4,)),
            object_corners_camera=array("object_corners_camera", (8, 3)),
            object_category=hand.get("object_category"),
            source=self.source,
            id=self._ids[index],
        )


class ArrayFolder(Reader):
    """Labels as .npy arrays, memory-mapped: for sets too large for anything else.

    Args:
        root: the folder that holds joints.npy (N, 21, 3), metres, common order, and where known vertices.npy
            (N, V, 3), K.npy (N, 3, 3), joints_image.npy (N, 21, 2), left.npy (N,) bool, ids.txt with N lines; of the
            free hand angles.npy (N, 23), in the order of handmodel.ANGLE_NAMES, radians, and shape.npy (N, 10).
        split: "all", all there is.
        images: must be False: there are no pictures.
    """

    source = "own"
    training_split = "all"
    layout = (
        "  joints.npy (N, 21, 3)\n"
        "  vertices.npy K.npy joints_image.npy left.npy ids.txt angles.npy shape.npy      (optional)"
    )

    def __init__(self, root: Path | str, split: str = "all", images: bool = False):
        super().__init__(root, choice("split", split, ("all",)), images)
        if images:
            raise ValueError(f"images must be False for {self.root}, which holds arrays and no pictures, but got True")
        self.joints = None
        self.joints = self._map("joints", (21, 3))
        if self.joints is None:
            require(self.root / "joints.npy", self.layout)
        self.vertices = self._map("vertices", (None, 3))
        self.K = self._map("K", (3, 3))
        self.joints_image = self._map("joints_image", (21, 2))
        self.angles = self._map(
            "angles", (23,), "give the angles of ANGLE_NAMES, or leave the file out: they are fitted"
        )
        self.shape = self._map("shape", (10,), "give the free hand's ten, or leave the file out")
        left = self._map("left", ())
        self.left = np.zeros(len(self), bool) if left is None else np.asarray(left, bool)
        names = self.root / "ids.txt"
        self.ids = (
            " ".join(read_lines(names, self.layout)).split()
            if names.exists()
            else [f"{i:08d}" for i in range(len(self))]
        )
        if len(self.ids) != len(self):
            raise BrokenDataset(f"{names} must hold {len(self)} lines, one per hand, but holds {len(self.ids)}")

    def _map(self, name: str, shape: tuple[int | None, ...], advice: str = "") -> Any:
        path = self.root / f"{name}.npy"
        if not path.exists():
            return None
        array = map_array(path, shape, advice)
        if self.joints is not None and len(array) != len(self):
            raise BrokenDataset(f"{path} must hold {len(self)} rows, as joints.npy does, but holds {len(array)}")
        return array

    def __len__(self) -> int:
        return 0 if self.joints is None else len(self.joints)

    def picture(self, index: int) -> Path:
        raise FileNotFoundError(f"{self.root} holds arrays and no pictures")

    def group(self, index: int) -> str:
        return self.ids[index].partition(":")[0]

    def labels(self, index: int) -> Sample:
        def row(array: Any) -> np.ndarray | None:
            return None if array is None else np.array(array[index], np.float64)

        K = row(self.K)
        return Sample(
            camera=None if K is None else Camera(K),
            side="left" if self.left[index] else "right",
            joints_camera=row(self.joints),
            joints_image=row(self.joints_image),
            vertices_camera=row(self.vertices),
            angles=row(self.angles),
            shape=row(self.shape),
            source=self.source,
            id=self.ids[index],
        )


def map_array(path: Path, shape: tuple[int | None, ...], advice: str = "") -> np.ndarray:
    """A .npy file, memory-mapped.

    Args:
        path: the file.
        shape: of every entry; None for any size.
        advice: what to do where the shape is another one.

    Returns:
        (N, *shape), read from the file when it is indexed.

    Raises:
        BrokenDataset: it is not a .npy file of numbers, or of another shape.
    """
    try:
        array = map_npy(path)
    except (RefusedFile, OSError) as error:
        raise BrokenDataset(
            f"{path} must be a .npy file of numbers but cannot be read ({error}); write it again"
        ) from error
    fits = array.ndim == len(shape) + 1 and all(w in (None, g) for w, g in zip(shape, array.shape[1:], strict=True))
    if not fits or array.dtype.kind not in "fbiu":
        wanted = ", ".join(["N", *("V" if w is None else str(w) for w in shape)])
        then = f"; {advice}" if advice else ""
        raise BrokenDataset(f"{path} must be ({wanted}) numbers but is {array.shape} of {array.dtype}{then}")
    return array
