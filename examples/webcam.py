"""Follow hands before a webcam, in a program of your own.

    python examples/webcam.py [CAMERA] [SECONDS]

CAMERA is a camera's number or a video file. `knuckle live` shows the same in a browser, without a line of Python.
"""

import sys
import time

import cv2

import knuckle


def main(camera: str = "0", seconds: str = "60") -> None:
    source = cv2.VideoCapture(int(camera) if camera.isdigit() else camera)
    if not source.isOpened():
        sys.exit(f"camera must be a number or a video file but {camera} cannot be opened; check that it is plugged in")
    follow = knuckle.VideoPredictor()
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < float(seconds):
        there, frame = source.read()
        if not there:
            break
        if not camera.isdigit():
            now = source.get(cv2.CAP_PROP_POS_MSEC) / 1000  # the file's own time
        for hand in follow(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), time=now):
            tip = hand.joints_camera[8].round(3)
            print(f"{now:6.2f} s, hand {hand.id} ({hand.side}): index tip at {tip} m, gesture {hand.gesture}")
    source.release()


if __name__ == "__main__":
    main(*sys.argv[1:])
