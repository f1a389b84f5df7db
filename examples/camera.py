"""Measure in metres, with a camera that was calibrated.

    python examples/camera.py [PICTURE] [CAMERA.json]

CAMERA.json holds fx, fy, cx, cy in pixels, as OpenCV's calibration gives them. Without a camera its field of view is
taken from the photograph's EXIF data or assumed to be 60 degrees, and distances are estimates.
"""

import sys
from pathlib import Path

import numpy as np

import knuckle
from knuckle.predict.cameras import read_camera


def main(picture: str = "examples/hand.jpg", calibration: str = "") -> None:
    image = knuckle.read_image(picture)
    size = (image.shape[1], image.shape[0])
    if calibration:
        camera = knuckle.Camera(read_camera(Path(calibration)), size)
    else:
        camera = knuckle.Camera.from_fov(size, np.radians(60.0))
    for hand in knuckle.predict(image, camera):
        wrist, thumb, index = hand.joints_camera[[0, 4, 8]]
        print(f"{hand.side}: wrist {np.linalg.norm(wrist):.2f} m from the camera")
        print(f"  thumb and index finger are {1000 * np.linalg.norm(thumb - index):.0f} mm apart")
        # The camera projects what is in metres into the picture, and sends rays back.
        u, v = camera.project(hand.joints_camera)[8]
        ray = camera.rays(np.array([[u, v]]))[0]
        print(f"  index tip at pixel ({u:.1f}, {v:.1f}), in the direction {ray.round(3)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
