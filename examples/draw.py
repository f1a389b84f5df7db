"""Draw the hands found in a picture.

    python examples/draw.py [PICTURE] [OUT]

OUT is the picture with meshes and skeletons. `hand.joints_image` are the same joints as numbers, pixels of the picture.
"""

import sys

import cv2

import knuckle


def main(picture: str = "examples/hand.jpg", out: str = "drawn.jpg") -> None:
    image = knuckle.read_image(picture)
    hands = knuckle.predict(picture)
    for hand in hands:
        u, v = hand.joints_image[8]
        print(f"{hand.side} hand, score {hand.score:.2f}, tip of the index finger at ({u:.0f}, {v:.0f})")
    # OpenCV writes BGR; knuckle has RGB everywhere.
    cv2.imwrite(out, cv2.cvtColor(hands.draw(image), cv2.COLOR_RGB2BGR))
    print(f"wrote {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
