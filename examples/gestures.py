"""Teach gestures of your own from a few pictures, and name them in others.

    python examples/gestures.py EXAMPLES PICTURE...

EXAMPLES has a folder of pictures for each name: EXAMPLES/stop/1.jpg, EXAMPLES/go/1.jpg, ...
"""

import sys
from pathlib import Path

import knuckle


def main(examples: str, *pictures: str) -> None:
    poses = {}
    for folder in sorted(path for path in Path(examples).iterdir() if path.is_dir()):
        found = knuckle.predict(sorted(folder.iterdir()), max_hands=1)
        poses[folder.name] = [hand.angles for hands in found for hand in hands]
    mine = knuckle.Gestures.learn(poses)
    mine.save("gestures.json")
    for picture in pictures:
        for hand in knuckle.predict(picture):
            print(f"{picture}: {hand.side} hand, {mine.name(hand.angles) or 'none of the gestures'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
