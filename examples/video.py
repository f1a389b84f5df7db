"""Measure a movement in a video, and write the video with the hands drawn over it.

    python examples/video.py VIDEO [OUT.mp4]

Prints how far the index finger is bent over time. Takes `pip install 'knuckle[video]'`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import knuckle
from knuckle.export.mp4 import mp4_writer
from knuckle.image.video import Video, open_video
from knuckle.predict.video import Frame


def main(path: str, out: str = "drawn.mp4") -> None:
    with open_video(Path(path)) as video, mp4_writer(Path(out), fps=video.fps) as writer:
        seen: list[Frame] = []

        def frames(video: Video) -> Iterator[Frame]:
            for image, time in video:
                seen.append(Frame(image, time=time))
                yield seen[-1]

        # Hands come one frame later: by then it is known where they go on to, and nothing lags.
        for hands in knuckle.VideoPredictor().over(frames(video)):
            frame = seen.pop(0)
            writer.add(hands.draw(frame.image, mesh=False), frame.time)
            for hand in hands:
                bent = np.degrees(hand.angles["index_pip_flexion"])
                print(f"{frame.time:6.2f} s, hand {hand.id} ({hand.side}): index finger bent by {bent:3.0f} degrees")
    print(f"wrote {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
