"""The scores of FreiHAND's and HO-3D's leaderboards, written from their definition, hand by hand and joint by joint.

Slow and plain on purpose: SciPy's Procrustes and k-d tree, one list of errors per joint. The package's fast way is
held against it.
"""

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import cKDTree

STEPS = np.linspace(0.0, 0.05, 100)


def measures(errors):
    """Mean, median and AUC of errors (N, K): each taken joint by joint, then averaged over joints."""
    means, medians, areas = [], [], []
    for joint in np.asarray(errors).T:
        means.append(np.mean(joint))
        medians.append(np.median(joint))
        curve = [np.mean(joint <= t) for t in STEPS]
        areas.append(np.trapezoid(curve, STEPS) / np.trapezoid(np.ones(100), STEPS))
    return np.mean(means), np.mean(medians), np.mean(areas)


def procrustes(truth, prediction):
    """The prediction under the best similarity, a mirror image allowed; also its parts (rotation, scale, norm)."""
    truth_mean, prediction_mean = truth.mean(0), prediction.mean(0)
    truth_norm = np.linalg.norm(truth - truth_mean) + 1e-8
    prediction_norm = np.linalg.norm(prediction - prediction_mean) + 1e-8
    unit = (prediction - prediction_mean) / prediction_norm
    rotation, scale = orthogonal_procrustes((truth - truth_mean) / truth_norm, unit)
    moved = unit @ rotation.T * (scale * truth_norm) + truth_mean
    return moved, (rotation, scale, truth_norm, truth_mean - prediction_mean)


def move_mesh(vertices, parts):
    """A mesh of another topology under the joints' parts, as the scripts do it: its own norm is never divided out."""
    rotation, scale, truth_norm, shift = parts
    mean = vertices.mean(0)
    return (vertices - mean) @ rotation.T * (scale * truth_norm) + shift + mean


def scale_translation(truth, prediction):
    """HO-3D: as long from wrist to middle MCP as the truth, wrists together (common joint order)."""
    ratio = np.linalg.norm(truth[9] - truth[0]) / np.linalg.norm(prediction[9] - prediction[0])
    return (prediction - prediction[0]) * ratio + truth[0]


def f_score(truth, prediction, reach):
    """Harmonic mean of the shares of points that are nearer than `reach` to the other set."""
    precision = np.mean(cKDTree(truth).query(prediction)[0] < reach)
    recall = np.mean(cKDTree(prediction).query(truth)[0] < reach)
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def distances(a, b):
    return np.linalg.norm(a - b, axis=-1)


def leaderboard(truth_joints, truth_meshes, joints, meshes):
    """All numbers of both leaderboards, metres, by the package's row keys."""
    errors = {k: [] for k in ("joints_camera", "joints_pa_official", "joints_st")}
    mesh_errors = {k: [] for k in ("vertices_camera", "vertices_pa_official")}
    f = {k: [] for k in ("f5_camera", "f15_camera", "f5_official", "f15_official")}
    same = meshes.shape[1] == truth_meshes.shape[1]
    for a, va, b, vb in zip(truth_joints, truth_meshes, joints, meshes, strict=True):
        aligned, parts = procrustes(a, b)
        moved = procrustes(va, vb)[0] if same else move_mesh(vb, parts)
        errors["joints_camera"].append(distances(a, b))
        errors["joints_pa_official"].append(distances(a, aligned))
        errors["joints_st"].append(distances(a, scale_translation(a, b)))
        if same:
            mesh_errors["vertices_camera"].append(distances(va, vb))
            mesh_errors["vertices_pa_official"].append(distances(va, moved))
        for name, reach in (("f5", 0.005), ("f15", 0.015)):
            f[f"{name}_camera"].append(f_score(va, vb, reach))
            f[f"{name}_official"].append(f_score(va, moved, reach))
    numbers = {k: measures(v) for k, v in errors.items()}
    numbers |= {k: measures(v) for k, v in mesh_errors.items() if v}
    return numbers, {k: np.mean(v) for k, v in f.items()}
