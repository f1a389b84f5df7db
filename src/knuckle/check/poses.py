"""Check recorded joints: their unit, joint order and side, and whether the poses are anatomically possible."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from knuckle.check.anatomy import Anatomy, examine, max_residual
from knuckle.check.conventions import (
    MAX_PROPORTION_COST,
    UNITS,
    JointOrder,
    candidate_orders,
    find_fingers,
    find_order,
    find_units,
    finger_change,
    proportion_cost,
    relative_size,
    stored_fingers,
    with_fingers,
)
from knuckle.check.ranges import report_ranges
from knuckle.check.report import CheckReport, Finding, listed
from knuckle.check.side import DECISION_THRESHOLD, right_log_odds
from knuckle.fit import fit_hand
from knuckle.handmodel import ANGLE_NAMES, HandLimits, HandModel, human_limits
from knuckle.handmodel.limits import angle_limits
from knuckle.skeleton import BONES, JOINT_NAMES

# Two joints closer than this fraction of the hand's size (about half a millimetre) are coincident.
_COINCIDENT = 0.01
# Maximum number of frames from which unit, order and side are determined, for the whole recording.
_SAMPLE_FRAMES = 256
_SIDE_SAMPLE_FRAMES = 64
# Thresholds on |log(bone length / fitted bone length)|: for the median over frames, and for a single frame. Joint
# definitions differ by up to 0.35 (wrist to thumb CMC); in single frames recordings deviate by up to 0.46.
_MAX_LOG_RATIO, _MAX_LOG_RATIO_IN_FRAME = 0.5, 0.7
# Minimum difference of a bone's length in metres besides: 3 mm of noise can exceed the ratio for a child's short bones.
_MIN_LENGTH_DIFFERENCE = 0.008
# A single frame is reported as the other side where the mirrored fit reduces its residual to this fraction.
_MAX_MIRRORED_RATIO = 0.67


@dataclass(frozen=True)
class _Interpretation:
    """Order and unit determined for the recording, and its joints converted accordingly.

    `order_known` is false where no order gives the joints the proportions of a hand.
    """

    order: JointOrder
    order_known: bool
    unit: str | None
    scale: float
    joints: Float[np.ndarray, "M 21 3"]  # common order, metres


def check_poses(
    joints: Float[np.ndarray, "N 21 3"],
    side: str = "right",
    model: HandModel | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    limits: HandLimits | None = None,
) -> CheckReport:
    """Find anatomically impossible poses, and a wrong unit, joint order or side.

    Unit, joint order and side are determined first, as those under which the joints have the size and proportions of a
    hand; where another than metres, the common order and the given side is clearly better, it is reported. The frames
    are then converted accordingly and fitted, and those that violate a joint limit or a bone proportion are reported,
    as are those outside the limits that are measured from the joints alone.

    Args:
        joints: (N, 21, 3), N >= 1, expected to be in metres, in the common order, and of hands of one side.
        side: "left" or "right", the expected side.
        model: the hand; the free one where None.
        progress: called with the number of frames completed and their total.
        limits: of bones, palm and pairs of angles, such as a person's own; human_limits where None.

    Raises:
        ValueError: there is no frame, or `side` is invalid.
    """
    if len(joints) == 0:
        raise ValueError("joints must hold at least one pose but got none; check what wrote them")
    if side not in ("left", "right"):
        raise ValueError(f"side must be 'left' or 'right' but got {side!r}")
    model = HandModel.open() if model is None else model
    findings: list[Finding] = []
    notes: list[str] = []
    usable = _usable(joints, findings)
    if len(usable) == 0:
        return _unreadable_report(joints, side, findings)
    interpretation = _interpret(joints[usable], model, findings, tuple(range(len(joints))))
    if not interpretation.order_known:
        message = (
            "the bones do not have the proportions of a hand in any known joint order; check the order of the joints"
        )
        findings.append(Finding("unlike", message, tuple(usable.tolist())))
        return _report(joints, side, "undecided", interpretation, 0, None, findings, notes)
    found_side = _determine_side(interpretation.joints, side, model, findings, notes, usable)
    fitted_side = side if found_side == "undecided" else found_side
    anatomy = examine(interpretation.joints, fitted_side, model, lambda done: progress(done, len(usable)))
    impossible = _report_frames(interpretation.joints, anatomy, fitted_side, model, usable, len(joints), findings)
    impossible |= report_ranges(
        interpretation.joints,
        anatomy.noise,
        fitted_side,
        human_limits() if limits is None else limits,
        ~impossible,
        usable,
        len(joints),
        findings,
    )
    return _report(
        joints,
        side,
        found_side,
        interpretation,
        int((~impossible).sum()),
        1000 * float(anatomy.error.mean()),
        findings,
        notes,
    )


def _usable(joints: Float[np.ndarray, "N 21 3"], findings: list[Finding]) -> Int[np.ndarray, " M"]:
    """Indices of the frames that can be fitted; the others are reported."""
    total = len(joints)
    finite = np.asarray(np.isfinite(joints).all(axis=(1, 2)))
    if not finite.all():
        frames = np.flatnonzero(~finite).tolist()
        message = f"joints that are not finite ({listed(frames, total)}); leave those frames out"
        findings.append(Finding("not_finite", message, tuple(frames)))
    collapsed = finite & _collapsed(np.where(finite[:, None, None], joints, 0.0))
    if collapsed.any():
        frames = np.flatnonzero(collapsed).tolist()
        message = (
            f"coincident joints ({listed(frames, total)}); leave such frames out, do not set missing joints to zero"
        )
        findings.append(Finding("collapsed", message, tuple(frames)))
    return np.flatnonzero(finite & ~collapsed)


def _collapsed(joints: Float[np.ndarray, "N 21 3"]) -> Bool[np.ndarray, " N"]:
    size = np.sqrt(((joints - joints.mean(axis=1, keepdims=True)) ** 2).sum(axis=-1).mean(axis=-1))
    one, other = np.triu_indices(21, k=1)
    nearest = np.full(len(joints), np.inf)
    for i, j in zip(one, other, strict=True):
        nearest = np.minimum(nearest, np.linalg.norm(joints[:, i] - joints[:, j], axis=-1))
    return (size <= 0) | (nearest < _COINCIDENT * size)


def _interpret(
    joints: Float[np.ndarray, "M 21 3"], model: HandModel, findings: list[Finding], frames: tuple[int, ...]
) -> _Interpretation:
    sample = _subsample(joints, _SAMPLE_FRAMES)
    order, _ = find_order(sample, model)
    fingers = find_fingers(order.to_common(sample), model)
    swapped = fingers != tuple(range(len(fingers)))
    order = with_fingers(order, fingers) if swapped else order
    sample = order.to_common(sample)
    order_known = float(np.median(proportion_cost(sample, model))) <= MAX_PROPORTION_COST
    size = relative_size(sample, model, order_known)
    units = find_units(size)
    findings += _unit_findings(units, size, frames)
    # In no unit: of the size of the average hand, so that the remaining checks can run.
    unit, scale = (units[0], UNITS[units[0]]) if units else (None, 1 / size)
    if not order.is_common and order_known:
        stored = stored_fingers(order) if swapped else None
        findings.append(_order_finding(order, frames) if stored is None else _finger_finding(order, stored, frames))
    return _Interpretation(order, order_known, unit, scale, order.to_common(joints) * scale)


def _unit_findings(units: tuple[str, ...], size: float, frames: tuple[int, ...]) -> list[Finding]:
    """What is wrong with the unit, if anything is; see `find_units` and `relative_size`."""
    if units == ("metres",):
        return []
    if not units:
        message = (
            f"the joints do not have the size of a hand in any of {', '.join(UNITS)} (they are {size:.3g} times as "
            f"large as an average hand in metres); multiply them by about {1 / size:.3g} for one in metres"
        )
    elif "inches" in units:
        # So are joints in lengths of a bone, as networks give them.
        factors = " or ".join(f"{UNITS[unit]:g}" for unit in units)
        message = (
            f"the joints seem to be in {' or '.join(units)}, or in lengths of a bone, not in metres; multiply them by "
            f"{factors}, or by about {1 / size:.3g} for an average hand"
        )
    else:
        message = f"the joints are in {units[0]}, not metres; multiply them by {UNITS[units[0]]:g}"
    return [Finding("unit", message, frames)]


def _order_finding(order: JointOrder, frames: tuple[int, ...]) -> Finding:
    if order.permutation == candidate_orders()[0].permutation:
        message = "joint 0 is the palm's centre, not the wrist; convert it with skeleton.palm_to_wrist"
        return Finding("root", message, frames)
    known = f" ({', '.join(order.names)})" if order.names else ""
    how = f"skeleton.to_common(joints, {order.names[0]!r})" if order.names else f"joints[:, {list(order.permutation)}]"
    message = f"the joints are not in the common order but in {order.description}{known}; convert them with {how}"
    return Finding("order", message, frames)


def _finger_finding(order: JointOrder, fingers: tuple[int, ...], frames: tuple[int, ...]) -> Finding:
    """Only the fingers are in another order; a doubtful finding, as it rests on the palm alone."""
    message = (
        f"the fingers seem to be in another order, {finger_change(fingers)}, as their bases lie across the palm; if a "
        f"picture shows the same, convert them with joints[:, {list(order.permutation)}]"
    )
    return Finding("order", message, frames)


def _determine_side(
    joints: Float[np.ndarray, "M 21 3"],
    side: str,
    model: HandModel,
    findings: list[Finding],
    notes: list[str],
    usable: Int[np.ndarray, " M"],
) -> str:
    """The side of the clear majority of the decided frames; "undecided" where there is none."""
    log_odds = right_log_odds(joints)
    right, left = int((log_odds > DECISION_THRESHOLD).sum()), int((log_odds < -DECISION_THRESHOLD).sum())
    if max(right, left) <= 2 * min(right, left):
        why = (
            "the hands are nearly flat"
            if right + left == 0
            else f"{right} frames appear to be right hands, {left} left"
        )
        notes.append(f"the side of the hands cannot be determined: {why}")
        return "undecided"
    found = "right" if right > left else "left"
    if found == side:
        return found
    sample = _subsample(joints, _SIDE_SAMPLE_FRAMES)
    as_given, as_found = (fit_hand(model, sample, side=s).error for s in (side, found))
    if np.median(as_found - max_residual(sample)) > 0:
        # Points that are no hand's; `examine` finds that.
        return "undecided"
    if np.median(as_found) > np.median(as_given):
        notes.append(f"the hands appear to be {found} ones but fit as well as {side} ones")
        return "undecided"
    message = (
        f"these are {found} hands given as {side} ones (in {max(left, right)} of {left + right} decided poses; "
        f"mean residual {1000 * float(as_found.mean()):.1f} mm as {found}, "
        f"{1000 * float(as_given.mean()):.1f} mm as {side} hands); use --side {found}, or mirror them"
    )
    findings.append(Finding("side", message, tuple(usable.tolist())))
    return found


def _report_frames(
    joints: Float[np.ndarray, "M 21 3"],
    anatomy: Anatomy,
    side: str,
    model: HandModel,
    usable: Int[np.ndarray, " M"],
    total: int,
    findings: list[Finding],
) -> Bool[np.ndarray, " M"]:
    """Report anatomically impossible frames, each under its most general cause; true for every such frame."""
    other = _of_other_side(joints, anatomy, side, model)
    if other.any():
        frames = usable[other].tolist()
        name = "left" if side == "right" else "right"
        message = f"{name} hands among {side} ones ({listed(frames, total)})"
        findings.append(Finding("side", message, tuple(frames)))
    not_a_hand = anatomy.not_a_hand & ~other
    if not_a_hand.any():
        frames = usable[not_a_hand].tolist()
        worst = 1000 * float(anatomy.error[not_a_hand].max())
        advice = "; check the order of the joints" if len(frames) == total else ""
        message = (
            f"the joints are not those of a hand: mean residual up to {worst:.0f} mm ({listed(frames, total)}){advice}"
        )
        findings.append(Finding("unlike", message, tuple(frames)))
    odd_bones = _report_bones(anatomy, ~other & ~not_a_hand, usable, total, findings)
    _report_limits(anatomy, ~other & ~odd_bones, usable, total, findings)
    return other | not_a_hand | odd_bones | anatomy.outside_limits


def _of_other_side(
    joints: Float[np.ndarray, "M 21 3"], anatomy: Anatomy, side: str, model: HandModel
) -> Bool[np.ndarray, " M"]:
    """Single frames that are clearly of the other side: by their log-odds, and because they fit better mirrored."""
    sign = 1 if side == "right" else -1
    suspects = np.flatnonzero(sign * right_log_odds(joints) < -DECISION_THRESHOLD)
    other = np.zeros(len(joints), bool)
    if len(suspects) > 0:
        mirrored = fit_hand(model, joints[suspects], side="left" if side == "right" else "right")
        other[suspects] = mirrored.error < _MAX_MIRRORED_RATIO * anatomy.error[suspects]
    return other


def _report_bones(
    anatomy: Anatomy,
    considered: Bool[np.ndarray, " M"],
    usable: Int[np.ndarray, " M"],
    total: int,
    findings: list[Finding],
) -> Bool[np.ndarray, " M"]:
    """Report bones of implausible length: consistent ones individually, others together; true for every such frame."""
    ratio = np.log(anatomy.lengths / anatomy.fitted_lengths)
    far = considered[:, None] & (np.abs(anatomy.lengths - anatomy.fitted_lengths) > _MIN_LENGTH_DIFFERENCE)
    usual = np.median(ratio[considered], axis=0) if considered.any() else np.zeros(len(BONES))
    always = np.abs(usual) > _MAX_LOG_RATIO
    odd = np.asarray((np.abs(ratio) > np.where(always, _MAX_LOG_RATIO, _MAX_LOG_RATIO_IN_FRAME)) & far)
    always &= odd.any(axis=0)
    for bone in np.flatnonzero(always).tolist():
        frames = usable[odd[:, bone]].tolist()
        times = f"{np.exp(usual[bone]):.2g} times the length that fits the other bones"
        message = f"the bone {_bone_name(bone)} is {times} ({listed(frames, total)})"
        findings.append(Finding("bones", message, tuple(frames)))
    sometimes = odd & ~always
    if sometimes.any():
        frames = usable[sometimes.any(axis=1)].tolist()
        often = _bone_name(int(sometimes.sum(axis=0).argmax()))
        message = f"bone lengths inconsistent with the rest of the hand, most often {often} ({listed(frames, total)})"
        findings.append(Finding("bones", message, tuple(frames)))
    return np.asarray(odd.any(axis=1))


def _bone_name(bone: int) -> str:
    parent, child = BONES[bone]
    return f"from {JOINT_NAMES[parent]} to {JOINT_NAMES[child]}"


def _report_limits(
    anatomy: Anatomy,
    considered: Bool[np.ndarray, " M"],
    usable: Int[np.ndarray, " M"],
    total: int,
    findings: list[Finding],
) -> None:
    limits = np.degrees(angle_limits())
    for angle, name in enumerate(ANGLE_NAMES):
        violations = [limit for limit in anatomy.violations if limit.angle == angle and considered[limit.frame]]
        for bound, sign, word in ((limits[angle, 0], -1, "below"), (limits[angle, 1], 1, "above")):
            values = [np.degrees(limit.value) for limit in violations]
            past = [limit for limit, value in zip(violations, values, strict=True) if sign * (value - bound) > 0]
            if not past:
                continue
            extreme = max((np.degrees(limit.value) for limit in past), key=lambda value: sign * value)
            frames = usable[[limit.frame for limit in past]].tolist()
            reach = f"{extreme:.0f} degrees, {word} its limit of {bound:.0f}"
            message = f"{name} would be {reach} ({listed(frames, total)})"
            findings.append(Finding("limits", message, tuple(frames)))
    explained = {limit.frame for limit in anatomy.violations}
    rest = [frame for frame in np.flatnonzero(anatomy.outside_limits & considered).tolist() if frame not in explained]
    if rest:
        frames = usable[rest].tolist()
        message = f"several angles together exceed their limits ({listed(frames, total)})"
        findings.append(Finding("limits", message, tuple(frames)))


def _subsample(joints: Float[np.ndarray, "M 21 3"], count: int) -> Float[np.ndarray, "K 21 3"]:
    """At most `count` frames, evenly spread over all."""
    return joints if len(joints) <= count else joints[np.linspace(0, len(joints) - 1, count).astype(int)]


def _report(
    joints: Float[np.ndarray, "N 21 3"],
    side: str,
    found_side: str,
    interpretation: _Interpretation,
    possible: int,
    error_mm: float | None,
    findings: list[Finding],
    notes: list[str],
) -> CheckReport:
    return CheckReport(
        frames=len(joints),
        given_side=side,
        side=found_side,
        unit=interpretation.unit,
        order=interpretation.order.description,
        order_names=interpretation.order.names,
        possible=possible,
        error_mm=error_mm,
        findings=tuple(findings),
        notes=tuple(notes),
    )


def _unreadable_report(joints: Float[np.ndarray, "N 21 3"], side: str, findings: list[Finding]) -> CheckReport:
    """The report on a recording without a usable frame."""
    common = candidate_orders()[0]
    empty = _Interpretation(common, False, None, 1.0, joints[:0])
    return _report(joints, side, "undecided", empty, 0, None, findings, ["no frame could be checked"])
