"""Hands that were found in pictures, put in the truth's order: from anybody's files, or from a model that is run."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from knuckle.datasets.layout import BrokenDataset
from knuckle.evaluate.adapters import PredictedHand
from knuckle.evaluate.data import Predictions, Truth
from knuckle.evaluate.extras import picture_of
from knuckle.evaluate.measures import measures_of, stacked
from knuckle.sample import Hand, Sample

# What of a hand is scored: the network's own joints and mesh; the posed hand's; or the posed hand's joints and the
# network's own mesh, where it predicts one.
Scored: TypeAlias = Literal["network", "hand", "both"]


def match_hands(truth: Truth, found: dict[str, list[PredictedHand]], absolute: bool, source: str) -> Predictions:
    """Hands by picture, put in the truth's order.

    Where a picture has one labelled hand the found hand with the highest score answers for it, whatever its side.
    Where it has several, each is answered by the best of its own side.

    Args:
        truth: the hands that are asked for.
        found: by the picture's name (its id in the truth, or the last part of it).
        absolute: whether the joints are in the camera frame.
        source: what was read, for the report.

    Returns:
        Predictions. Where the pictures were looked at and no hand was found in any, joints are NaN throughout.

    Raises:
        BrokenDataset: there is nothing for any of the truth's pictures, or meshes of several kinds.
    """
    n = len(truth)
    pictures = [picture_of(name) for name in truth.ids]
    several = {picture for picture, hands in Counter(pictures).items() if hands > 1}
    answers = [found.get(picture, found.get(picture.rpartition("/")[2])) for picture in pictures]
    if n and all(hands is None for hands in answers):
        theirs = ", ".join(sorted(found)[:3]) or "nothing"
        raise BrokenDataset(
            f"{source} must be named after the set's pictures, such as {pictures[0]}, but has {theirs}; "
            "is it of another set or split?"
        )
    chosen: list[PredictedHand | None] = []
    for i, picture in enumerate(pictures):
        hands = answers[i] or []
        if picture in several:
            side = "left" if truth.left[i] else "right"
            hands = [h for h in hands if h.side == side]
        chosen.append(max(hands, key=lambda h: h.score, default=None))

    return _answers(chosen, absolute, source)


def _answers(chosen: Sequence[PredictedHand | None], absolute: bool, source: str) -> Predictions:
    """Predictions of one hand, or none, for each row of the truth."""
    n = len(chosen)

    def gather(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        values = [None if h is None else getattr(h, name) for h in chosen]
        if all(v is None for v in values):
            return None
        gathered = np.full((n, *shape), np.nan)
        for i, value in enumerate(values):
            if value is not None:
                gathered[i] = value
        return gathered

    counts = {len(h.vertices) for h in chosen if h is not None and h.vertices is not None}
    if len(counts) > 1:
        raise BrokenDataset(f"{source}: meshes must share one number of vertices but have {sorted(counts)}")
    sides = [None if h is None else h.side for h in chosen]
    return Predictions(
        present=np.array([h is not None for h in chosen], bool),
        joints=gather("joints", (21, 3)) if any(chosen) else np.full((n, 21, 3), np.nan),
        vertices=gather("vertices", (counts.pop(), 3)) if counts else None,
        joints_image=gather("joints_image", (21, 2)),
        corners=gather("corners", (8, 3)),
        left=np.array([s == "left" for s in sides], bool) if any(sides) else None,
        absolute=absolute,
        source=source,
    )


def run_predictor(
    samples: Iterable[Sample],
    predict: Callable[[Sample], Sequence[Hand]],
    truth: Truth,
    source: str,
    advance: Callable[[], None] = lambda: None,
    *,
    scored: Scored = "both",
) -> Predictions:
    """Predictions of a model that is at hand, run on every picture of a set once.

    Args:
        samples: with pictures, in the truth's order.
        predict: the hands in a sample's picture, in the frame of its camera where it has one.
        truth: the hands they are for.
        source: what the model is, for the report.
        advance: called after every sample.
        scored: of each hand.

    Returns:
        Predictions, matched as match_hands does. They are in the camera frame only where samples know their camera.
    """
    found: dict[str, list[PredictedHand]] = {}
    placed = True
    for sample in samples:
        picture = picture_of(str(sample.id))
        placed &= sample.camera is not None
        if picture not in found:
            found[picture] = [_found(hand, truth, scored) for hand in predict(sample)]
        advance()
    return match_hands(truth, found, placed, source)


def run_on_crops(
    samples: Iterable[Sample],
    predict: Callable[[Sample], Hand | None],
    truth: Truth,
    source: str,
    advance: Callable[[], None] = lambda: None,
    *,
    scored: Scored = "both",
) -> Predictions:
    """Predictions of a model that is shown where each hand is: one answer for each row, nothing to be matched.

    Args:
        samples: with pictures, in the truth's order.
        predict: the hand of a sample, in the frame of its camera where it has one; None where it cannot be asked.
        truth: the hands they are for.
        source: what the model is, for the report.
        advance: called after every sample.
        scored: of each hand.

    Returns:
        Predictions, in the camera frame only where samples know their camera.

    Raises:
        BrokenDataset: there are not as many samples as the truth has hands.
    """
    chosen: list[PredictedHand | None] = []
    measured: list[dict[str, float]] = []
    placed = True
    for sample in samples:
        placed &= sample.camera is not None
        hand = predict(sample)
        measured.append(measures_of(hand, sample))
        chosen.append(None if hand is None else _found(hand, truth, scored))
        advance()
    if len(chosen) != len(truth):
        raise BrokenDataset(f"{source} must be run on {len(truth)} hands, one per label, but there were {len(chosen)}")
    return replace(_answers(chosen, placed, source), measures=stacked(measured))


def _found(hand: Hand, truth: Truth, scored: Scored = "both") -> PredictedHand:
    # The network's own mesh can be compared vertex by vertex only where it is of the truth's topology.
    own = hand.vertices_network
    comparable = own is not None and truth.vertices is not None and len(own) == truth.vertices.shape[1]
    raw = hand.joints_network if scored == "network" else None
    return PredictedHand(
        hand.side,
        float(hand.score),
        hand.joints_camera if raw is None else raw,
        hand.joints_image if raw is None else hand.camera.project(raw),
        own if comparable and scored != "hand" else hand.vertices_camera,
        None if hand.object is None else hand.object.corners_camera,
    )
