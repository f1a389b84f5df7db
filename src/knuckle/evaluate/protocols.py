"""The named protocols: data set, split, root joint, alignments, thresholds, units.

A protocol fixes everything that makes two numbers comparable, and describes it in words. Scores are in metres and
pixels internally; reports print millimetres. The official scripts of FreiHAND and HO-3D print centimetres, which some
papers' tables call millimetres.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from knuckle.metrics import (
    FPHA_80MM,
    HOP_20PX,
    OBJECT_50PX,
    OFFICIAL_50MM,
    ZIMMERMANN_20_50MM,
    ZIMMERMANN_30PX,
    ZIMMERMANN_50MM,
)
from knuckle.skeleton import TIPS

Alignment = Literal["camera", "root", "root-scale", "scale-translation", "procrustes", "official"]

# Descriptions for the report.
ALIGNMENTS: Mapping[Alignment, str] = MappingProxyType(
    {
        "camera": "none, in the camera frame",
        "root": "root joints aligned",
        "root-scale": "root joints aligned, scaled to the true length of one bone",
        "scale-translation": "best scale and translation, least squares",
        "procrustes": "best scale, rotation and translation; proper rotations only",
        "official": "best scale, rotation and translation, reflections allowed, as in the official scripts",
    }
)

_OFFICIAL = MappingProxyType({"AUC 0-50 mm": OFFICIAL_50MM})
_ZIMMERMANN = MappingProxyType({"AUC 0-50 mm": ZIMMERMANN_50MM, "AUC 20-50 mm": ZIMMERMANN_20_50MM})
# The tail of the official thresholds; it starts at 20.2 mm.
_SPURR = MappingProxyType({"AUC 0-50 mm": OFFICIAL_50MM, "AUC 20-50 mm": OFFICIAL_50MM[40:]})
_PIXELS = MappingProxyType({"AUC 0-30 px": ZIMMERMANN_30PX})


@dataclass(frozen=True)
class Score:
    """One error that a protocol reports.

    key: its name in JSON. label: its name in the table. points: what is compared. alignment: of the prediction
    to the truth. thresholds: of the AUCs, by name. per_hand: errors are averaged over the hand before they are compared
    with thresholds (FPHA), not joint by joint.
    """

    key: str
    label: str
    points: Literal["joints", "vertices"]
    alignment: Alignment
    thresholds: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: _OFFICIAL)
    per_hand: bool = False


@dataclass(frozen=True)
class Protocol:
    """How a data set is scored.

    name, title: its name, and a line for the list of protocols. dataset, split: a reader of knuckle.datasets and its
    split. scores: worst cases are ranked by the first. f_alignments: alignments of meshes for F-scores at 5 and 15 mm.
    joints: which of the 21 are compared. joint_zero: "wrist", or a key of PALM_RECIPES: truth and prediction then have
    the palm as joint 0. root, bone: for the alignments. image_thresholds: for 2D errors. visible_image_only: 2D errors
    leave out joints that are labelled as occluded. objects: the object's box is scored too. by_side: a left and a
    right joint count as two joints when joint means are averaged. pooled_median: medians are of all errors together.
    video: samples are frames, so acceleration and jitter are reported. note: further explanation.
    """

    name: str
    title: str
    dataset: str
    split: str
    scores: tuple[Score, ...]
    f_alignments: tuple[Alignment, ...] = ()
    joints: tuple[int, ...] = tuple(range(21))
    joint_zero: str = "wrist"
    root: int = 0
    bone: tuple[int, int] = (0, 9)
    image_thresholds: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: _PIXELS)
    visible_image_only: bool = False
    objects: bool = False
    by_side: bool = False
    pooled_median: bool = False
    video: bool = False
    note: str = ""

    def describe(self) -> tuple[str, ...]:
        """What the protocol computes, line by line, for the report."""
        zero = "the wrist" if self.joint_zero == "wrist" else f"the palm's centre (recipe {self.joint_zero})"
        lines = [f"data: {self.dataset}, split {self.split}; joint 0 is {zero}, root is joint {self.root}"]
        if len(self.joints) != 21:
            lines.append(f"joints compared: {', '.join(map(str, self.joints))}")
        for score in self.scores:
            alignment = ALIGNMENTS[score.alignment]
            if score.alignment == "root-scale":
                alignment += f" ({self.bone[0]}, {self.bone[1]})"
            steps = "; ".join(f"{name} in {len(t)} steps" for name, t in score.thresholds.items())
            each = ", hand by hand" if score.per_hand else ""
            lines.append(f"{score.label}: {score.points}, alignment: {alignment}; {steps}{each}")
        if self.f_alignments:
            lines.append(f"F-scores at 5 and 15 mm (distance < threshold): {', '.join(self.f_alignments)}")
        median = "the median over all errors" if self.pooled_median else "the median likewise"
        lines.append(f"the mean is taken over samples for each point, then over points, {median}; in mm and px")
        return (*lines, self.note) if self.note else tuple(lines)


_CAMERA = Score("joints_camera", "MPJPE camera", "joints", "camera")
_ROOT = Score("joints_root", "MPJPE root-relative", "joints", "root")
_PA = Score("joints_pa", "PA-MPJPE", "joints", "procrustes")
_PA_OFFICIAL = Score("joints_pa_official", "PA-MPJPE official", "joints", "official")
_MESH_CAMERA = Score("vertices_camera", "MPVPE camera", "vertices", "camera")
_MESH_ROOT = Score("vertices_root", "MPVPE root-relative", "vertices", "root")
_MESH_PA = Score("vertices_pa", "PA-MPVPE", "vertices", "procrustes")
_MESH_PA_OFFICIAL = Score("vertices_pa_official", "PA-MPVPE official", "vertices", "official")
_SCALE_TRANSLATION = Score("joints_st", "ST-MPJPE", "joints", "root-scale")

_HO3D_NOTE = (
    "the official script compares in OpenGL axes and MANO order; errors are the same in ours. "
    "Its scale-translation alignment uses its joints 0 and 4, which are our 0 and 9"
)

_ALL = (
    Protocol(
        "freihand",
        "FreiHAND evaluation, as its leaderboard: aligned and absolute joints and mesh, F-scores",
        "freihand",
        "evaluation",
        (_PA_OFFICIAL, _CAMERA, _MESH_PA_OFFICIAL, _MESH_CAMERA, _PA),
        f_alignments=("camera", "official"),
        note="meshes of another topology than the truth's: mesh errors are left out, F-scores are aligned by joints",
    ),
    Protocol(
        "rhd-zimmermann",
        "RHD evaluation as Zimmermann & Brox: palm root, true scale given, AUC 20-50 mm",
        "rhd",
        "evaluation",
        (Score("joints_root_scale", "EPE", "joints", "root-scale", _ZIMMERMANN), _PA),
        joint_zero="middle_2",
        bone=(9, 10),
        visible_image_only=True,
        note="all joints count in space, visible ones in the picture; 'AUC 20-50' starts at 21.05 mm, as in their code",
    ),
    Protocol(
        "stb-zimmermann",
        "STB test (B1) as Zimmermann & Brox: palm root, true scale given, AUC 20-50 mm",
        "stb",
        "test",
        (Score("joints_root_scale", "EPE", "joints", "root-scale", _ZIMMERMANN), _PA),
        joint_zero="middle_2",
        bone=(9, 10),
        note="the stored palm is compared with the midpoint of a prediction's wrist and middle MCP; one view per frame",
        video=True,
    ),
    Protocol(
        "dexter-object",
        "Dexter+Object: five fingertips under the best root and scale",
        "dexter-object",
        "test",
        (
            Score("joints_st", "EPE best root and scale", "joints", "scale-translation", _ZIMMERMANN),
            Score("joints_pa", "PA-EPE", "joints", "procrustes", _ZIMMERMANN),
            Score("joints_camera", "EPE camera", "joints", "camera", _ZIMMERMANN),
        ),
        joints=TIPS,
        root=4,
        bone=(4, 12),
        note="papers disagree on the range of the AUC: both are given",
        video=True,
    ),
    Protocol(
        "ho3d-v2",
        "HO-3D v2 evaluation, as its leaderboard: aligned, scale-translation and absolute joints, mesh, F-scores",
        "ho3d-v2",
        "evaluation",
        (_PA_OFFICIAL, _SCALE_TRANSLATION, _CAMERA, _MESH_PA_OFFICIAL, _MESH_CAMERA, _PA),
        f_alignments=("camera", "official"),
        objects=True,
        note=_HO3D_NOTE,
        video=True,
    ),
    Protocol(
        "ho3d-v3",
        "HO-3D v3 evaluation, as its leaderboard",
        "ho3d-v3",
        "evaluation",
        (_PA_OFFICIAL, _SCALE_TRANSLATION, _CAMERA, _MESH_PA_OFFICIAL, _MESH_CAMERA, _PA),
        f_alignments=("camera", "official"),
        objects=True,
        note=_HO3D_NOTE,
        video=True,
    ),
    Protocol(
        "fpha-ho",
        "FPHA with objects (Zhuang & Mu): absolute hand and box, share of correct poses to 80 mm and 50 px",
        "fpha",
        "ho-test",
        (
            Score(
                "joints_camera",
                "MPJPE camera",
                "joints",
                "camera",
                MappingProxyType({"AUC 0-80 mm": FPHA_80MM}),
                per_hand=True,
            ),
            _ROOT,
            _PA,
        ),
        objects=True,
        note="a pose is correct when the mean over its joints is within the threshold; millimetres, nothing aligned",
        video=True,
    ),
    Protocol(
        "fpha-subjects",
        "FPHA across subjects: trained on 1, 3, 4, tested on 2, 5, 6",
        "fpha",
        "subjects-test",
        (_ROOT, _CAMERA, _PA),
        video=True,
    ),
    Protocol(
        "obman",
        "ObMan test: root-relative joints and mesh",
        "obman",
        "test",
        (_ROOT, _CAMERA, _PA, _MESH_ROOT, _MESH_PA),
        f_alignments=("root", "procrustes"),
        objects=True,
        note="objects are compared where ShapeNetCore.v2, whose meshes give their boxes, lies in the folder",
    ),
    Protocol(
        "hop",
        "HOP test: 2D joints, and 3D with root and scale given",
        "hop",
        "test",
        (Score("joints_root_scale", "EPE", "joints", "root-scale", _ZIMMERMANN), _PA),
        bone=(9, 10),
        image_thresholds=MappingProxyType({"AUC 0-20 px": HOP_20PX}),
        note="root is the wrist, as in the authors' code; captions disagree on the range of the AUC: both are given",
    ),
    Protocol(
        "dexycb-s0",
        "DexYCB s0 test: absolute, root-relative and aligned joints, as its toolkit",
        "dexycb",
        "s0-test",
        (_PA_OFFICIAL, _ROOT, _CAMERA, _PA),
        note="frames without a hand are left out, as in the toolkit",
        video=True,
    ),
    Protocol(
        "interhand",
        "InterHand2.6M test: root-relative joints, for single and interacting hands, and MRRPE",
        "interhand",
        "test",
        (_ROOT, _PA),
        by_side=True,
        note="a hand whose wrist has no label is left out; joint means are over 42 joints, left and right separately",
    ),
    Protocol(
        "own",
        "your own folder: generated shards, .npy arrays, truth.json, or COCO-WholeBody hands",
        "own",
        "all",
        (_PA, _ROOT, _CAMERA, _PA_OFFICIAL, _MESH_PA, _MESH_ROOT, _MESH_CAMERA),
        f_alignments=("procrustes", "camera"),
        objects=True,
        pooled_median=True,
        video=True,
    ),
    Protocol(
        "own-spurr",
        "your own folder as Spurr et al. 2020: root-relative joints, their depth and pixels apart, and aligned joints",
        "own",
        "all",
        (
            Score("joints_root", "EPE root-relative", "joints", "root", _SPURR),
            _PA_OFFICIAL,
            Score("joints_pa", "PA-EPE", "joints", "procrustes", _SPURR),
        ),
        pooled_median=True,
        note="the paper is given the true length of one bone: `--scale truth` does that for a model; the AUCs of its "
        "Tables 3 to 6 fit its errors from 20 to 50 mm only; 2D errors are pixels of the whole picture",
    ),
    Protocol(
        "own-li",
        "your own folder as Li et al. 2021: joints in the camera's frame with root and scale given, and aligned joints",
        "own",
        "all",
        (Score("joints_camera", "EPE, root and scale given", "joints", "camera", _ZIMMERMANN), _PA_OFFICIAL, _PA),
        root=9,
        bone=(9, 10),
        note="`--scale truth --depth truth` gives them to a model; 'AUC 20-50' starts at 21.05 mm, as in their code",
    ),
    Protocol(
        "own-hop",
        "your own folder as HOP: 2D joints, and 3D with root and scale given",
        "own",
        "all",
        (Score("joints_root_scale", "EPE", "joints", "root-scale", _ZIMMERMANN), _PA),
        bone=(9, 10),
        image_thresholds=MappingProxyType({"AUC 0-20 px": HOP_20PX}),
        pooled_median=True,
        note="root is the wrist; 2D errors are pixels of the whole picture; masks and categories are scored where "
        "labels and network have them, masks within the held object on the parts of the hand behind it alone",
    ),
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({p.name: p for p in _ALL})

OBJECT_THRESHOLDS: Mapping[str, tuple[float, ...]] = MappingProxyType({"AUC 0-50 px": OBJECT_50PX})
CORNER_THRESHOLDS = _OFFICIAL
