"""How well hands are tracked: on generated clips against their truth, on other videos by what a person's hand must be.

    knuckle synth clips -n 1440 --preset motion --size 400 --seed 77
    python tools/measure_video.py clips
    python tools/measure_video.py one.mp4 two.mp4

Clips: PA-MPJPE and 2D error of tracked hands and frame by frame, of all that each finds and of those that both find;
hands missed, and how often a hand has the id that it has most often. Videos: jitter (mean second difference of joints
in the picture), sides, spread of the palm's length after the first second, and the largest size of a hand over that of
a single look at its frame.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.shards import read_pictures
from knuckle.metrics import align_procrustes
from knuckle.predict import Predictor
from knuckle.predict.video import Frame, VideoPredictor
from knuckle.sample import Hand
from knuckle.track import match


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", help="folders of `knuckle synth --preset motion`, or videos")
    parser.add_argument("--single", action="store_true", help="frame by frame as well")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args(arguments)
    predictor = Predictor()
    results = {}
    for source in options.sources:
        if Path(source).is_dir():
            results[source] = measure_clips(predictor, Path(source))
        else:
            results[source] = measure_video(predictor, source, options.single)
        for name, numbers in results[source].items():
            print(f"{source} {name}: " + ", ".join(f"{k} {v:.4g}" for k, v in numbers.items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def measure_clips(predictor: Predictor, folder: Path) -> dict[str, dict[str, float]]:
    """Both ways of looking at every clip of a folder."""
    ways = {"tracked": _Tally(), "frame by frame": _Tally()}
    for clip in _clips(folder):
        tracked = VideoPredictor(predictor).over((frame for frame, _ in clip), 2)
        for _, label in clip:
            begin = time.perf_counter()
            ways["tracked"].add(label, next(tracked), time.perf_counter() - begin)
        for frame, label in clip:
            begin = time.perf_counter()
            ways["frame by frame"].add(label, predictor(frame.image, frame.camera, 2), time.perf_counter() - begin)
        for tally in ways.values():
            tally.end_clip()
    both = set.intersection(*(set(tally.errors) for tally in ways.values()))
    return {name: tally.numbers(both) for name, tally in ways.items()}


def _clips(folder: Path) -> Iterator[list[tuple[Frame, dict]]]:
    """The frames of one clip after the other, with their labels."""
    clip: list[tuple[Frame, dict]] = []
    for picture in read_pictures(folder, masks=False):
        label = picture.label
        if label["frame"] == 0 and clip:
            yield clip
            clip = []
        clip.append((Frame(picture.image, Camera(np.array(label["K"]), tuple(label["size"])), label["time"]), label))
    if clip:
        yield clip


class _Tally:
    """Sums over frames.

    Attributes:
        errors: by (clip, frame, hand): PA-MPJPE in millimetres, and 2D error in pixels.
    """

    def __init__(self) -> None:
        self.errors: dict[tuple[int, int, int], tuple[float, float]] = {}
        self._missed = self._false = self._frames = 0
        self._seconds: list[float] = []
        self._sides: list[bool] = []
        self._ids: dict[int, list[int]] = defaultdict(list)
        self._right = self._of = 0
        self._second: list[float] = []
        self._last: dict[int, list[np.ndarray]] = defaultdict(list)

    def add(self, label: dict, hands: list[Hand], seconds: float) -> None:
        size = np.array(label["size"]) - 1
        truth = [h for h in label["hands"] if _inside(np.array(h["joints_image"]), size)]
        self._frames += 1
        self._seconds.append(seconds)
        cost = np.array([[_distance(np.array(t["joints_image"]), h.joints_image) for h in hands] for t in truth])
        pairs = match(cost.reshape(len(truth), len(hands)), 0.5)
        self._missed += len(truth) - len(pairs)
        self._false += len(hands) - len(pairs) if len(truth) == len(label["hands"]) else 0
        for i, j in pairs:
            joints, hand = np.array(truth[i]["joints_camera"]), hands[j]
            aligned = align_procrustes(hand.joints_camera, joints)
            uv = np.array(truth[i]["joints_image"])
            self.errors[label["clip"], label["frame"], truth[i]["number"]] = (
                1e3 * float(np.linalg.norm(aligned - joints, axis=1).mean()),
                float(np.linalg.norm(hand.joints_image - uv, axis=1).mean()),
            )
            self._sides.append(hand.side == truth[i]["side"])
            number = truth[i]["number"]
            if hand.id is not None:
                self._ids[number].append(hand.id)
            kept = self._last[number]
            kept.append(hand.joints_image - uv)
            if len(kept) >= 3:
                self._second.append(float(np.linalg.norm(kept[-1] - 2 * kept[-2] + kept[-3], axis=1).mean()))

    def end_clip(self) -> None:
        taken: set[int] = set()
        # An id can be that of one hand alone.
        for ids in sorted(self._ids.values(), key=len, reverse=True):
            for number, count in Counter(ids).most_common():
                if number not in taken:
                    taken.add(number)
                    self._right += count
                    break
            self._of += len(ids)
        self._ids.clear()
        self._last.clear()

    def numbers(self, both: set[tuple[int, int, int]]) -> dict[str, float]:
        aligned, pixels = np.mean(list(self.errors.values()), axis=0)
        aligned_both, pixels_both = np.mean([self.errors[hand] for hand in both], axis=0)
        return {
            "frames": self._frames,
            "PA-MPJPE mm": aligned,
            "2D px": pixels,
            "PA-MPJPE mm of those found both ways": aligned_both,
            "2D px of those found both ways": pixels_both,
            "jitter of the error px": float(np.mean(self._second)),
            "missed %": 100 * self._missed / max(len(self.errors) + self._missed, 1),
            "false": self._false,
            "side right %": 100 * float(np.mean(self._sides)),
            "id right %": 100 * self._right / max(self._of, 1),
            "ms a frame": 1e3 * float(np.mean(self._seconds)),
        }


def _inside(uv: np.ndarray, limit: np.ndarray) -> bool:
    return bool(((uv >= 0) & (uv <= limit)).all(1).sum() >= 17)


def _distance(uv: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of joints relative to the hand's extent."""
    return float(np.linalg.norm(uv - other, axis=1).mean() / max(np.ptp(uv, axis=0).max(), 1e-6))


def measure_video(predictor: Predictor, path: str, single: bool) -> dict[str, dict[str, float]]:
    """What can be measured without a truth."""
    tracks: dict[int, list[tuple[int, Hand]]] = defaultdict(list)
    times, growth, count = [], [], 0
    waiting: deque[np.ndarray] = deque()

    def read() -> Iterator[Frame]:
        for image in _frames(path):
            waiting.append(image)
            yield Frame(image)

    video = VideoPredictor(predictor).over(read())
    while True:
        begin = time.perf_counter()
        hands = next(video, None)
        if hands is None:
            break
        times.append(time.perf_counter() - begin)
        count += 1
        image = waiting.popleft()
        for hand in hands:
            tracks[hand.id or 0].append((count, hand))
        if single and hands:
            looks = predictor(image)
            for hand in hands:
                near = [h for h in looks if _distance(hand.joints_image, h.joints_image) < 0.5]
                growth += [_extent(hand) / _extent(near[0])] if near else []
    second, palms = [], []
    for seen in tracks.values():
        for (a, one), (b, two), (c, three) in zip(seen, seen[1:], seen[2:], strict=False):
            if c - b == b - a == 1:
                change = three.joints_image - 2 * two.joints_image + one.joints_image
                second.append(float(np.linalg.norm(change, axis=1).mean()))
        lengths = [float(np.linalg.norm(hand.joints_camera[9] - hand.joints_camera[0])) for _, hand in seen[30:]]
        palms += [100 * (max(lengths) / min(lengths) - 1)] if lengths else []
    sides = [Counter(hand.side for _, hand in seen) for seen in tracks.values()]
    numbers = {
        "frames": count,
        "with hands": len({frame for seen in tracks.values() for frame, _ in seen}),
        "ids": len(tracks),
        "jitter px": float(np.mean(second)) if second else float("nan"),
        "minority side": sum(sum(c.values()) - max(c.values()) for c in sides),
        "palm varies %": max(palms, default=float("nan")),
        "ms a frame": 1e3 * float(np.mean(times)) if times else float("nan"),
    }
    return {"tracked": numbers | ({"largest over a single look": max(growth)} if growth else {})}


def _extent(hand: Hand) -> float:
    return float(np.ptp(hand.joints_image, axis=0).max())


def _frames(path: str) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(path)
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


if __name__ == "__main__":
    sys.exit(main())
