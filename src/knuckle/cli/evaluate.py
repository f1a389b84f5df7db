"""`knuckle eval` and `knuckle submit`: score predictions, and write them in the formats of the leaderboards."""

import sys
from pathlib import Path
from typing import Literal

# Repeated here, so that --help imports nothing; a test compares them with knuckle.evaluate.PROTOCOLS.
ProtocolName = Literal[
    "freihand",
    "rhd-zimmermann",
    "stb-zimmermann",
    "dexter-object",
    "ho3d-v2",
    "ho3d-v3",
    "fpha-ho",
    "fpha-subjects",
    "obman",
    "hop",
    "dexycb-s0",
    "interhand",
    "own",
    "own-spurr",
    "own-li",
    "own-hop",
]
SubmissionName = Literal["freihand", "ho3d-v2", "ho3d-v3"]
FormatName = Literal["arrays", "submission", "dexycb", "mano", "knuckle", "mediapipe", "mmpose", "openpose"]


def evaluate(
    predictions: Path,
    *,
    protocol: ProtocolName,
    root: Path,
    json: Path | None = None,
    plots: Path | None = None,
    missing: Literal["penalty", "skip", "error"] = "penalty",
    crops: Literal["detector", "truth"] = "detector",
    scale: Literal["adult", "truth"] = "adult",
    depth: Literal["network", "truth"] = "network",
    shape: Literal["unknown", "truth"] = "unknown",
    hand: Literal["network", "fit", "ik", "refined"] | None = None,
    ik: Path | None = None,
    ensemble: list[Path] | None = None,
    format: FormatName | None = None,
    order: str = "common",
    unit: Literal["m", "cm", "mm"] = "m",
    axes: Literal["opencv", "opengl"] = "opencv",
    mano: Path | None = None,
    flat_hand_mean: bool = False,
    workers: int | None = None,
    ray: str | None = None,
    parts: Path | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> int:
    """Score predictions on a data set under a named protocol.

    Protocols: freihand (leaderboard), rhd-zimmermann, stb-zimmermann (palm root, scale given, AUC 20-50),
    dexter-object (fingertips), ho3d-v2, ho3d-v3 (leaderboards), fpha-ho (with objects), fpha-subjects, obman, hop,
    dexycb-s0, interhand, own (your own data: shards, truth.json, .npy arrays or COCO-WholeBody hands), own-spurr (the
    same, root-relative), own-li (the same, in the camera's frame, root and scale given), own-hop (the same as HOP,
    with masks and categories).

    The protocol's rules (root, alignment, thresholds, units) are printed above its numbers. All numbers are in
    millimetres and pixels; 95 % intervals are bootstrapped, over whole videos where there are many.

    Examples:

        knuckle eval predictions/ --protocol own --root my_pictures

        knuckle eval pred.zip --protocol freihand --root FreiHAND_pub_v2 --json scores.json --plots plots

        knuckle eval mediapipe_json/ --protocol ho3d-v2 --root HO3D_v2 --missing skip

        knuckle eval runs/s3/step-0010000 --protocol freihand --root FreiHAND_pub_v2 --crops truth

        knuckle eval runs/s1/step-0010000 --protocol freihand --root FreiHAND_pub_v2 --crops truth --scale truth

        knuckle eval mesh.onnx --protocol own --root pictures --crops truth --hand refined --ik runs/ik/step-0020000

        knuckle eval mesh.onnx --protocol own --root /shared/pictures --ray auto --parts /tmp/parts --json scores.json

    Parameters
    ----------
    predictions
        A folder with one JSON per picture (knuckle predict, MediaPipe, OpenPose, MMPose) or with joints.npy and
        vertices.npy; a .npy, .npz (joints, vertices or MANO parameters), pred.json or pred.zip, DexYCB's .txt; or a
        model to run on the pictures: an exported .onnx, or a checkpoint's folder (which needs knuckle[train]).
    protocol
        How to score: the data set, split, root, alignment and thresholds.
    root
        The data set's folder.
    json
        Write everything as JSON to this file.
    plots
        Write PCK curves, errors per joint and a sheet of the worst cases into this folder.
    missing
        A hand that was not found: counts as 50 mm and 50 px (penalty), is left out (skip), or is an error.
    crops
        Crops of a model: around the hands that the detector finds, or around the true joints and mirrored by the true
        side, as papers evaluate; then no hand is missed.
    scale
        Size of the hands of a model that predicts none: an average adult's, or the true one, as papers do that are
        given it. With truth, which needs --crops truth, the network's own joints are scored and not the fitted hand.
    depth
        Depth of the root joint: as the network has it, or as it follows from the length of a bone; or the true one, for
        a model of 2.5D coordinates, as papers do that are given the root. That needs --scale truth.
    shape
        With truth, which needs --crops truth, the hand model has the label's shape, as of a person who was measured.
    hand
        What of a model is scored: the network's own joints and mesh, or those of the hand model posed by a fit, by an
        inverse-kinematics network (ik), or by 20 steps of S4's refinement from there on. If not given, the fitted
        joints, and the network's mesh where it predicts one.
    ik
        The inverse-kinematics network, an exported .onnx or a checkpoint; the package's own if not given.
    ensemble
        A further model with the same contract, whose outputs are averaged with the model's; may be repeated.
    format
        Format of the predictions; detected if not given.
    order
        Joint order of .npy and .npz predictions, a name in knuckle.skeleton.ORDERS.
    unit
        Unit of .npy and .npz predictions.
    axes
        Axes of .npy and .npz predictions: opencv (x right, y down, z forward) or opengl (y up, z backward).
    mano
        Your MANO file, for predictions that are its parameters.
    flat_hand_mean
        The zero pose of MANO predictions is the flat hand.
    workers
        Processes that share the pictures a model is run on; without it and --ray this one does them all.
    ray
        Share them among the workers of a Ray cluster: local starts one on this machine, auto joins the one this machine
        is part of, HOST:PORT another; needs `pip install 'knuckle[ray]'`. All machines must see the data set's folder
        under the same path. A worker that dies costs its part, which is done again.
    parts
        Keep what the model says of each part of the pictures in this folder until all is done: the same command then
        goes on where it was interrupted.
    resamples
        Number of bootstrap samples for the intervals; 0 for none.
    seed
        Random seed of the bootstrap.
    """
    import numpy as np
    from rich.console import Console

    from knuckle.cli.progress import progress_bar
    from knuckle.cli.terminal import quiet_libraries
    from knuckle.cli.workers import chosen_workers
    from knuckle.evaluate import PROTOCOLS
    from knuckle.evaluate import evaluate as score
    from knuckle.evaluate.plots import write_plots
    from knuckle.evaluate.predictions import Conventions
    from knuckle.evaluate.sources import pictures_of, read_source
    from knuckle.evaluate.table import print_report
    from knuckle.files import remove_leftovers
    from knuckle.handmodel import HandModel
    from knuckle.models import Run, predictions_of
    from knuckle.workers import KeptParts

    who = chosen_workers(workers, ray, cpus=2)  # the threads of a predictor
    for place in filter(None, (json and json.parent, plots)):
        remove_leftovers(place)
    rules = PROTOCOLS[protocol]
    conventions = Conventions(order, unit, axes, None if mano is None else HandModel.load(mano), flat_hand_mean)
    try:
        with quiet_libraries(), progress_bar() as progress:
            task = progress.add_task("reading labels", total=None)
            source = read_source(
                rules, root, lambda done, total: progress.update(task, completed=done, total=total or None)
            )
            progress.remove_task(task)
            task = progress.add_task("reading predictions, or predicting", total=len(source.truth))
            answers = predictions_of(
                predictions,
                source,
                format=format,
                conventions=conventions,
                run=Run(crops, scale, shape, hand, ik, depth, tuple(ensemble or ())),
                workers=who,
                kept=None if parts is None else KeptParts(parts),
                advance=lambda: progress.advance(task),
            )
            progress.remove_task(task)
            task = progress.add_task("scoring", total=len(source.truth))
            report = score(
                source.truth,
                answers,
                rules,
                missing=missing,
                generator=np.random.default_rng(seed),
                resamples=resamples,
                advance=lambda hands: progress.advance(task, hands),
            )
    except KeyboardInterrupt:
        if parts is None:
            raise
        print(f"stopped; what is done is kept in {parts}, the same command goes on from there", file=sys.stderr)
        return 130
    console = Console()
    print_report(report, console)
    if source.official_count is not None and source.official_count != len(source.truth):
        console.print(
            f"note: {len(source.truth)} hands were scored; the published split has {source.official_count}",
            style="yellow",
        )
    if json is not None:
        report.write_json(json)
        console.print(f"{json}: all numbers", highlight=False)
    if plots is not None:
        images = pictures_of(source, [int(i) for i in report.worst(20)])
        for path in write_plots(report, plots, source.truth, answers, images):
            console.print(str(path), highlight=False)
    return 0


def submit(
    predictions: Path,
    *,
    protocol: SubmissionName,
    out: Path,
    root: Path | None = None,
    format: FormatName | None = None,
    order: str = "common",
    unit: Literal["m", "cm", "mm"] = "m",
    axes: Literal["opencv", "opengl"] = "opencv",
    mano: Path | None = None,
    flat_hand_mean: bool = False,
) -> int:
    """Write predictions in the format of the FreiHAND or HO-3D server, and check the file.

    Joints and meshes are put into the server's order and axes. The file is then read again, and its counts, shapes,
    unit, axes, joint order and side are checked before it is called ready; the exit status is 1 when it is not.

    Examples:

        knuckle submit predictions/ --protocol ho3d-v2 --root HO3D_v2 --out pred.zip

    Parameters
    ----------
    predictions
        As for knuckle eval.
    protocol
        The server.
    out
        The .zip to write.
    root
        The data set's folder, for the order of the pictures. Not needed for arrays in the order of the split.
    format
        Format of the predictions; detected if not given.
    order
        Joint order of .npy and .npz predictions, a name in knuckle.skeleton.ORDERS.
    unit
        Unit of .npy and .npz predictions.
    axes
        Axes of .npy and .npz predictions.
    mano
        Your MANO file, for predictions that are its parameters.
    flat_hand_mean
        The zero pose of MANO predictions is the flat hand.
    """
    from knuckle.cli.progress import progress_bar
    from knuckle.cli.terminal import one_line
    from knuckle.evaluate import PROTOCOLS
    from knuckle.evaluate.predictions import Conventions
    from knuckle.evaluate.sources import numbered_source, read_source
    from knuckle.evaluate.submit import SUBMISSIONS, check_submission, write_submission
    from knuckle.files import remove_leftovers
    from knuckle.handmodel import HandModel
    from knuckle.models import predictions_of

    remove_leftovers(out.parent)
    form, rules = SUBMISSIONS[protocol], PROTOCOLS[protocol]
    conventions = Conventions(order, unit, axes, None if mano is None else HandModel.load(mano), flat_hand_mean)
    with progress_bar() as progress:
        source = numbered_source(form.count) if root is None else read_source(rules, root)
        task = progress.add_task("reading predictions, or predicting", total=len(source.truth))
        answers = predictions_of(
            predictions, source, format=format, conventions=conventions, advance=lambda: progress.advance(task)
        )
        progress.remove_task(task)
        task = progress.add_task("writing", total=len(source.truth))
        notes = write_submission(answers, form, out, lambda hands: progress.advance(task, hands))
        progress.update(task, description="checking")
        problems = check_submission(out, form)
    for note in notes:
        print(one_line(f"note: {note}"))
    for problem in problems:
        print(one_line(f"{out} is not ready: {problem}"), file=sys.stderr)
    if problems:
        return 1
    print(f"{out} is ready for {protocol}: {form.count} hands, {answers.source}")
    return 0
