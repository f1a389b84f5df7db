"""Label a folder of pictures with the hands that knuckle finds, to correct them and to train on them.

    python examples/label_coco.py FOLDER

Writes FOLDER/annotations.json, in COCO-WholeBody's format: correct it with a labelling tool, or write such a file from
labels that you have. `knuckle train SYSTEM --data coco:FOLDER --out RUN` trains on it.
"""

import json
import sys
from pathlib import Path

import numpy as np

import knuckle
from knuckle.predict.sources import PICTURES


def annotation(hand: knuckle.Hand, number: int, image: int) -> dict:
    """A hand as COCO-WholeBody has it: keypoints and box of the left or right hand of a person, in pixels."""
    x0, y0, x1, y1 = hand.box.tolist()
    # u, v and a flag of each joint, in knuckle's order, which is COCO-WholeBody's: 2 labelled, 0 without a label.
    keypoints = np.concatenate([hand.joints_image, np.full((21, 1), 2.0)], axis=1)
    return {
        "id": number,
        "image_id": image,
        f"{hand.side}hand_valid": True,
        f"{hand.side}hand_box": [x0, y0, x1 - x0, y1 - y0],
        f"{hand.side}hand_kpts": keypoints.round(2).flatten().tolist(),
    }


def main(folder: str) -> None:
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in PICTURES)
    images, annotations = [], []
    for path in paths:
        height, width = knuckle.read_image(path).shape[:2]
        images.append(
            {"id": len(images), "file_name": path.relative_to(folder).as_posix(), "width": width, "height": height}
        )
        for hand in knuckle.predict(path):
            annotations.append(annotation(hand, len(annotations), images[-1]["id"]))
    out = Path(folder) / "annotations.json"
    out.write_text(json.dumps({"images": images, "annotations": annotations}))
    print(f"wrote {out}: {len(annotations)} hands in {len(images)} pictures")


if __name__ == "__main__":
    main(*sys.argv[1:])
