"""From a picture to hands, whole and stage by stage, beside MediaPipe Hands on the same pictures.

PICTURES names a folder of pictures (examples/hand.jpg where it is not set), VIDEO a video (that picture as a hand that
holds still where it is not set). MEDIAPIPE names the Python of an
environment with mediapipe==0.10.21; its own, as it needs older packages than knuckle. Both get two threads.
"""

import atexit
import os
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from knuckle import Predictor
from knuckle.camera import Camera
from knuckle.image.read import decode_picture, read_picture
from knuckle.predict import PredictorConfig
from knuckle.predict.crop import square_of_box
from knuckle.predict.pictures import checked_camera
from knuckle.predict.video import VideoPredictor
from timings.timing import Task

MEDIAPIPE = "picture to hands, MediaPipe"
MEDIAPIPE_VIDEO = "a video's next frame, one hand, MediaPipe"
THREADS = 2
MOST_PICTURES = 300
MOST_FRAMES = 200
MAX_HANDS = 2
_EXAMPLE = Path(__file__).parents[2] / "examples" / "hand.jpg"
# Answers a line with the number of a picture by a line; reads and decodes nothing while it is timed.
_PEER = """
import sys, cv2, mediapipe
cv2.setNumThreads(2)
most, paths = int(sys.argv[1]), sys.argv[2:]
if most:
    capture = cv2.VideoCapture(paths[0])
    pictures = [frame for there, frame in (capture.read() for _ in range(most)) if there]
else:
    pictures = [cv2.imread(path) for path in paths]
pictures = [cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) for picture in pictures]
hands = mediapipe.solutions.hands.Hands(static_image_mode=not most, max_num_hands=1 if most else 2)
for line in sys.stdin:
    hands.process(pictures[int(line) % len(pictures)])
    print("done", flush=True)
"""


@cache
def paths() -> list[Path]:
    folder = os.environ.get("PICTURES", "")
    if not folder:
        return [_EXAMPLE]
    found = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not found:
        raise ValueError(f"PICTURES must be a folder with .jpg or .png files but {folder} has none")
    return found[:: -(-len(found) // MOST_PICTURES)]


@cache
def pictures() -> list[tuple[np.ndarray, Camera]]:
    images = [read_picture(path) for path in paths()]
    return [(image, checked_camera(image, None)) for image in images]


@cache
def predictor() -> Predictor:
    cv2.setNumThreads(THREADS)
    return Predictor(threads=THREADS)


def whole() -> Task:
    """As `Predictor()(image)`: up to two hands with joints, mesh, angles and uncertainty."""
    given, predict = pictures(), predictor()
    return Task(lambda run: predict(given[run % len(given)][0], max_hands=MAX_HANDS), against=MEDIAPIPE)


def with_objects() -> Task:
    """The same and what the hands hold. No network of objects ships: an untrained one takes as long."""
    from knuckle.systems import open_system
    from knuckle.train.export import export_onnx

    system = open_system("hand-object-small")
    network = system.network().eval()
    with TemporaryDirectory(prefix="knuckle-") as folder:
        file = Path(folder) / "objects.onnx"
        export_onnx(next(iter(system.graphs(network).values())), file)
        predict = Predictor(objects=file, threads=THREADS, config=PredictorConfig(object_threshold=0.0))
    given = pictures()
    return Task(lambda run: predict(given[run % len(given)][0], max_hands=MAX_HANDS))


def decode() -> Task:
    files = [path.read_bytes() for path in paths()]
    return Task(lambda run: decode_picture(files[run % len(files)]))


def detect() -> Task:
    given, predict = pictures(), predictor()
    return Task(lambda run: predict.detect(given[run % len(given)][0], MAX_HANDS))


def estimate() -> Task:
    predict = predictor()
    given = [(image, camera, predict.detect(image, MAX_HANDS)) for image, camera in pictures()]

    def run(count: int) -> object:
        image, camera, places = given[count % len(given)]
        squares = [square_of_box(place.box, place.direction) for place in places]
        return predict.estimate(image, camera, squares, [place.score for place in places])

    return Task(run)


def explain() -> Task:
    predict = predictor()
    given = [(predict.find(image, camera, MAX_HANDS), camera) for image, camera in pictures()]

    def run(count: int) -> object:
        hands, camera = given[count % len(given)]
        return [predict.explain(found, camera) for found in hands]

    return Task(run)


@cache
def frames() -> list[np.ndarray]:
    """The first ones of VIDEO."""
    if not os.environ.get("VIDEO"):
        return [pictures()[0][0]]
    capture = cv2.VideoCapture(os.environ["VIDEO"])
    read = [frame for there, frame in (capture.read() for _ in range(MOST_FRAMES)) if there]
    if not read:
        raise ValueError(f"VIDEO must be a video but {os.environ['VIDEO']} has no frame")
    return [cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in read]


def next_frame() -> Task:
    """Of one hand, so that none is looked for while it is followed: mostly one pass and a warm fit."""
    images = frames()
    video = VideoPredictor(predictor(), fps=30.0)
    against = MEDIAPIPE_VIDEO if os.environ.get("VIDEO") else None
    return Task(lambda run: video(images[run % len(images)], max_hands=1), against=against)


class Peer:
    """MediaPipe Hands in a process of its own that holds the same pictures.

    Args:
        python: of the environment that it is in.
        given: pictures, or one video.
        frames: of the video; 0 for pictures, and its mode for single ones.
    """

    def __init__(self, python: str, given: list[Path], frames: int = 0) -> None:
        self._python = python
        self._process = subprocess.Popen(
            [python, "-c", _PEER, str(frames), *map(str, given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def process(self, picture: int) -> None:
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answered is not None
        try:
            asked.write(b"%d\n" % picture)
            asked.flush()
            answer = answered.readline()
        except BrokenPipeError:
            answer = b""
        if answer.strip() != b"done":
            raise RuntimeError(f"{self._python} must be able to import mediapipe and cv2 but it gave up")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def mediapipe() -> Task:
    peer = Peer(os.environ["MEDIAPIPE"], paths())
    atexit.register(peer.close)
    return Task(peer.process)


def mediapipe_video() -> Task:
    peer = Peer(os.environ["MEDIAPIPE"], [Path(os.environ["VIDEO"])], MOST_FRAMES)
    atexit.register(peer.close)
    return Task(peer.process)
