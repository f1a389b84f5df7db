"""InterHand2.6M: single and interacting hands in a studio of cameras (Moon et al., ECCV 2020)."""

from pathlib import Path
from typing import Any

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.layout import BrokenDataset, choice, read_json, records_of
from knuckle.datasets.reader import Reader
from knuckle.files import number_array
from knuckle.sample import Sample
from knuckle.skeleton import to_common

_ROWS = {"right": slice(0, 21), "left": slice(21, 42)}


class InterHand(Reader):
    """InterHand2.6M's train, val or test split, a sample per hand: two for a picture of interacting hands.

    Args:
        root: the folder that holds annotations/ and images/.
        split: "train", "val" or "test".
        images: read pictures.
    """

    source = "interhand"
    training_split = "train"
    layout = (
        "  annotations/test/InterHand2.6M_test_data.json, and ..._camera.json, ..._joint_3d.json beside it\n"
        "  images/test/Capture0/..."
    )

    def __init__(self, root: Path | str, split: str = "test", images: bool = True):
        super().__init__(root, choice("split", split, ("train", "val", "test")), images)
        folder = self.root / "annotations" / split

        def load(kind: str) -> Any:
            return read_json(folder / f"InterHand2.6M_{split}_{kind}.json", self.layout)

        data, self._cameras, self._world = load("data"), load("camera"), load("joint_3d")
        self._path = folder / f"InterHand2.6M_{split}_data.json"
        if not isinstance(data, dict) or not {"images", "annotations"} <= set(data):
            raise BrokenDataset(f"{self._path} must be COCO's images and annotations; is it another file?")
        self._hands: list[tuple[dict[str, Any], dict[str, Any], str]] = []
        with records_of(self._path):
            self._list_hands(data)

    def _list_hands(self, data: dict[str, Any]) -> None:
        pictures = {p["id"]: p for p in data["images"]}
        for hand in data["annotations"]:
            valid = number_array(hand["joint_valid"], "joint_valid").reshape(-1)
            if valid.size != 42:
                raise BrokenDataset(f"{self._path}: joint_valid must hold 42 numbers but holds {valid.size}")
            if hand["image_id"] not in pictures:
                raise BrokenDataset(f"{self._path} must list the picture {hand['image_id']} but does not; truncated?")
            for side in ("right", "left"):
                if hand["hand_type"] in (side, "interacting") and valid[_ROWS[side]][20]:
                    self._hands.append((pictures[hand["image_id"]], hand, side))

    def __len__(self) -> int:
        return len(self._hands)

    def picture(self, index: int) -> Path:
        return self.root / "images" / self.split / self._hands[index][0]["file_name"]

    def subset(self, index: int) -> str:
        """Whether sample `index` is a single hand or one of two interacting hands.

        Args:
            index: a sample.

        Returns:
            "single" or "interacting".
        """
        return "interacting" if self._hands[index][1]["hand_type"] == "interacting" else "single"

    def group(self, index: int) -> str:
        picture = self._hands[index][0]
        # Several captures may be of one subject.
        return f"Subject{picture['subject']}" if "subject" in picture else f"Capture{picture['capture']}"

    def labels(self, index: int) -> Sample:
        picture, hand, side = self._hands[index]
        capture, camera = str(picture["capture"]), str(picture["camera"])
        try:
            stored = {k: number_array(self._cameras[capture][k][camera], k) for k in _CAMERA}
            frame = self._world[capture][str(picture["frame_idx"])]
            world = number_array(frame["world_coord"], "world_coord").reshape(42, 3)
        except (KeyError, ValueError) as error:
            raise BrokenDataset(
                f"{self._path.parent} must hold capture {capture}, camera {camera}, frame {picture['frame_idx']} "
                f"in its camera and joint_3d files but lacks {error}; fetch them again"
            ) from error
        rows = _ROWS[side]
        joints = (world[rows] - stored["campos"]) @ stored["camrot"].reshape(3, 3).T / 1000.0
        valid = number_array(hand["joint_valid"], "joint_valid").reshape(42)[rows] > 0
        joints = np.where(valid[:, None], joints, np.nan)
        (fx, fy), (cx, cy) = stored["focal"], stored["princpt"]
        box = number_array(hand["bbox"], "bbox") if hand["hand_type"] == side and hand.get("bbox") else None
        return Sample(
            camera=Camera(
                np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), (int(picture["width"]), int(picture["height"]))
            ),
            side="left" if side == "left" else "right",
            joints_camera=np.asarray(to_common(joints, "interhand")),
            box=None if box is None else np.concatenate([box[:2], box[:2] + box[2:]]),
            source=self.source,
            id=f"{Path(picture['file_name']).with_suffix('')}:{side}",
        )


_CAMERA = ("campos", "camrot", "focal", "princpt")
