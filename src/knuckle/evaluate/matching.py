"""Hands that were found in pictures, put in the truth's order: from anybody's files, or from a model that is run."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias

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


class PredictedRow(NamedTuple):
    """What a model that was run says about one sample, a row of the truth.

    Attributes:
        picture: the sample's.
        placed: whether its camera is known, so that its hands are in the camera frame.
        hands: all of its picture, or the one in its crop, if any.
        measures: what was measured of the hand in the sample's crop already; see knuckle.evaluate.measures.
    """

    picture: str
    placed: bool
    hands: tuple[PredictedHand, ...]
    measures: Mapping[str, float]


def predicted_rows(
    samples: Iterable[Sample],
    predict: Callable[[Sample], Sequence[Hand]],
    mesh: int | None,
    *,
    scored: Scored = "both",
    each: bool = False,
) -> Iterator[PredictedRow]:
    """Runs a model on samples with pictures, in their order.

    Args:
        samples: with pictures.
        predict: the hands in a sample's picture, in the frame of its camera where it has one.
        mesh: number of vertices of the truth's meshes, None where it has none.
        scored: of each hand.
        each: ask for every sample; else once for samples of one picture that follow each other.
    """
    last: PredictedRow | None = None
    for sample in samples:
        picture = picture_of(str(sample.id))
        if last is None or each or last.picture != picture:
            hands = predict(sample)
            # Of a whole picture it is not known yet which hand is whose.
            measures = measures_of(hands[0] if hands else None, sample) if each else {}
            found = tuple(_found(hand, mesh, scored) for hand in hands)
            last = PredictedRow(picture, sample.camera is not None, found, measures)
        yield last._replace(placed=sample.camera is not None)


def match_rows(rows: Sequence[PredictedRow], truth: Truth, source: str) -> Predictions:
    """Predictions of a model that was run on whole pictures, matched as match_hands does.

    They are in the camera frame only where samples know their camera.
    """
    found: dict[str, list[PredictedHand]] = {}
    for row in rows:
        found.setdefault(row.picture, list(row.hands))
    return match_hands(truth, found, all(row.placed for row in rows), source)


def answer_rows(rows: Sequence[PredictedRow], truth: Truth, source: str) -> Predictions:
    """Predictions of a model that was shown where each hand is: one answer for each row, nothing to be matched.

    They are in the camera frame only where samples know their camera.

    Raises:
        BrokenDataset: there are not as many rows as the truth has hands.
    """
    if len(rows) != len(truth):
        raise BrokenDataset(f"{source} must be run on {len(truth)} hands, one per label, but there were {len(rows)}")
    chosen = [row.hands[0] if row.hands else None for row in rows]
    answers = _answers(chosen, all(row.placed for row in rows), source)
    return replace(answers, measures=stacked([row.measures for row in rows]))


def run_predictor(
    samples: Iterable[Sample],
    predict: Callable[[Sample], Sequence[Hand]],
    truth: Truth,
    source: str,
    *,
    scored: Scored = "both",
) -> Predictions:
    """Predictions of a model that is at hand, run on every picture of a set once; see predicted_rows, match_rows."""
    return match_rows(list(predicted_rows(samples, predict, mesh_size(truth), scored=scored)), truth, source)


def run_on_crops(
    samples: Iterable[Sample],
    predict: Callable[[Sample], Hand | None],
    truth: Truth,
    source: str,
    *,
    scored: Scored = "both",
) -> Predictions:
    """Predictions of a model that is shown where each hand is; see predicted_rows, answer_rows."""

    def one(sample: Sample) -> list[Hand]:
        hand = predict(sample)
        return [] if hand is None else [hand]

    return answer_rows(list(predicted_rows(samples, one, mesh_size(truth), scored=scored, each=True)), truth, source)


def mesh_size(truth: Truth) -> int | None:
    """Number of vertices of the truth's meshes, None where it has none."""
    return None if truth.vertices is None else truth.vertices.shape[1]


def _found(hand: Hand, mesh: int | None, scored: Scored) -> PredictedHand:
    # The network's own mesh can be compared vertex by vertex only where it is of the truth's topology.
    own = hand.vertices_network
    comparable = own is not None and len(own) == mesh
    raw = hand.joints_network if scored == "network" else None
    return PredictedHand(
        hand.side,
        float(hand.score),
        hand.joints_camera if raw is None else raw,
        hand.joints_image if raw is None else hand.camera.project(raw),
        own if comparable and scored != "hand" else hand.vertices_camera,
        None if hand.object is None else hand.object.corners_camera,
    )
