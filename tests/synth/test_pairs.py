"""Two hands that touch: the solver, the bank, and the preset."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from knuckle.fit.kinematics import pose
from knuckle.handmodel import HandModel
from knuckle.handmodel.contact import mesh_distances, winding_numbers
from knuckle.handmodel.limits import angle_limits
from knuckle.synth import Generator, Settings
from knuckle.synth.collide import SelfCollision
from knuckle.synth.generate import surface_of
from knuckle.synth.pairs import MAX_DEPTH, PairMaker, hand_pairs, mirrored
from knuckle.synth.separate import HandPair, PairSolver, SeparateConfig

TOOLS = Path(__file__).parents[2] / "tools"
BANK = Path(__file__).parents[2] / "src" / "knuckle" / "synth" / "data" / "hand_pairs.npz"
AVERAGE = np.zeros(10)


@pytest.fixture(scope="module")
def model():
    return HandModel.open()


@pytest.fixture(scope="module")
def surface(model):
    return surface_of(model)


@pytest.fixture(scope="module")
def solver(model, surface):
    return PairSolver(model, surface)


def _palms(distance: float) -> HandPair:
    """Flat hands, palm to palm, their frames' origins a distance apart."""
    T = np.diag([-1.0, 1.0, -1.0, 1.0])
    T[2, 3] = distance
    wrist = np.array([[-0.7, 0.0], [-0.7, 0.0]])
    return HandPair("palms", np.zeros((2, 23)), wrist, T, np.zeros((0, 2), int))


def _true_depth(model: HandModel, vertices: np.ndarray) -> float:
    """The depth of the deepest vertex of the one hand in the other, by winding numbers and exact distances."""
    deepest = 0.0
    for hand in range(2):
        points, other = vertices[hand], vertices[1 - hand]
        faces = np.asarray(model.faces_of("right" if hand else "left"))
        near = points[[np.linalg.norm(other - p, axis=1).min() < 0.025 for p in points]]
        inside = near[winding_numbers(near, other, faces) > 0.5] if len(near) else near
        if len(inside):
            deepest = max(deepest, float(mesh_distances(inside, other, faces).max()))
    return deepest


def test_motion_agrees_with_finite_differences(solver, rng):
    limits = angle_limits()
    angles = rng.uniform(0.3 * limits[:, 0], 0.5 * limits[:, 1], (2, 23))
    pair = replace(_palms(0.05), angles=angles, wrist_angles=np.array([[0.2, -0.1], [0.1, 0.3]]))
    vertices = solver.vertices(pair, AVERAGE)
    posed = pose(solver.kin, pair.angles, np.zeros((2, 10)))
    chosen, along = rng.integers(0, vertices.shape[1], 60), rng.normal(size=(60, 3))
    for hand in range(2):
        jacobian = solver._motion(pair, posed, vertices, hand, chosen, along)
        for unknown in range(56):
            step = np.zeros(56)
            step[unknown] = 1e-6
            moved = solver.vertices(solver._moved(pair, step), AVERAGE)[hand][chosen] - vertices[hand][chosen]
            # Pose correctives are left out of the Jacobian.
            np.testing.assert_allclose(jacobian[:, unknown], (moved * along).sum(1) / 1e-6, atol=0.02)


def test_hands_inside_each_other_are_separated(model, solver):
    pair = _palms(0.045)
    assert solver.depth(pair, AVERAGE) > 0.01
    separated, depth = solver.separate(pair, AVERAGE, SeparateConfig(shift=0.05, steps=15))
    assert depth < MAX_DEPTH
    assert _true_depth(model, solver.vertices(separated, AVERAGE)) < 0.003
    limits = angle_limits()
    assert (separated.angles >= limits[:, 0] - 1e-9).all()
    assert (separated.angles <= limits[:, 1] + 1e-9).all()


def test_hands_apart_stay_where_they_are(solver):
    pair = _palms(0.12)
    assert solver.depth(pair, AVERAGE) == 0.0
    after, depth = solver.separate(pair, AVERAGE, SeparateConfig(elbows=0.0))
    assert depth == 0.0
    np.testing.assert_array_equal(after.T_right_left, pair.T_right_left)
    np.testing.assert_array_equal(after.angles, pair.angles)


def test_points_that_should_touch_are_brought_together(solver):
    tip = int(np.argmax(solver.model.vertices[:, 1]))  # of the middle finger
    pair = replace(_palms(0.08), touches=np.array([[tip, tip]]))
    after, depth = solver.separate(pair, AVERAGE, SeparateConfig(shift=0.05, steps=25))
    vertices = solver.vertices(after, AVERAGE)
    assert np.linalg.norm(vertices[0][tip] - vertices[1][tip]) < 0.02  # from 0.08
    assert depth < MAX_DEPTH


def test_mirroring_exchanges_the_sides(model, rng):
    pair = hand_pairs()[0]
    sides = np.array([False, True])
    T = np.stack([np.eye(4), pair.T_right_left])
    joints = model.joints(pair.angles, T_camera_hand=T, side=sides)
    swapped = np.stack([np.eye(4), mirrored(pair.T_right_left)])
    exchanged = model.joints(pair.angles, T_camera_hand=swapped, side=~sides)
    np.testing.assert_allclose(exchanged, joints * [-1, 1, 1], atol=1e-12)


def test_the_bank_is_small_varied_and_free_of_penetration(model, surface, solver):
    bank = hand_pairs()
    assert BANK.stat().st_size < 200_000
    assert len(bank) >= 150
    assert len({pair.kind for pair in bank}) >= 20
    collision = SelfCollision(surface.radii())
    for pair in bank[::12]:
        assert solver.depth(pair, AVERAGE) < 0.0025
        assert all(collision.depth(model.joints(angles)) < 0.0045 for angles in pair.angles)


def test_the_bank_is_rebuilt_from_its_recipes(model, solver, surface, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import build_hand_pairs
    from hand_pairs.landmarks import landmarks
    from hand_pairs.recipes import RECIPES

    kind = "crossed wrists"
    collision, places = SelfCollision(surface.radii()), landmarks(model)
    rng = np.random.default_rng([build_hand_pairs.SEED, list(RECIPES).index(kind), 0, 0])
    pair = build_hand_pairs.meet(rng, kind, RECIPES[kind], model, solver, collision, places)
    kept = next(other for other in hand_pairs() if other.kind == kind)
    np.testing.assert_allclose(pair.angles, kept.angles, atol=1e-3)
    np.testing.assert_allclose(pair.T_right_left, kept.T_right_left, atol=1e-3)
    for name in [name for name in sys.modules if name.startswith(("hand_pairs", "build_hand_pairs", "hand_asset"))]:
        monkeypatch.delitem(sys.modules, name)


def test_drawn_pairs_of_any_shape_do_not_penetrate(model, surface, rng):
    maker = PairMaker(model, surface, SelfCollision(surface.radii()), hand_pairs())
    kinds = set()
    for _ in range(8):
        shape = np.clip(rng.normal(0, 1.2, 10), -2.5, 2.5)
        pair = maker.random(rng, shape)
        assert _true_depth(model, maker.solver.vertices(pair, shape)) < 0.003
        kinds.add(pair.kind)
    assert len(kinds) > 3


@pytest.mark.egl
def test_two_hands_are_labelled_and_belong_to_one_person():
    generator = Generator(Settings(preset="two-hands", size=64, seed=4))
    pictures = [generator.picture(i) for i in range(10)]
    again = Generator(Settings(preset="two-hands", size=64, seed=4)).picture(7)
    generator.close()
    np.testing.assert_array_equal(again.image, pictures[7].image)
    for picture in pictures:
        first, second = picture.label["hands"]
        assert {first["side"], second["side"]} == {"left", "right"}
        assert first["shape"] == second["shape"]
        assert first["pose"] == second["pose"]
        assert first["pose"].startswith("two hands: ")
        apart = np.subtract(first["joints_camera"], np.array(second["joints_camera"])[:, None])
        assert np.linalg.norm(apart, axis=-1).min() < 0.08
        # Whichever is in front hides the other: a pixel of both hands shows one of them, an arm, or an occluder.
        both = (picture.complete & 0b11) == 0b11
        assert not (picture.visible[both] == 0).any()


@pytest.mark.egl
def test_the_nearer_hand_is_the_visible_one():
    generator = Generator(Settings(preset="two-hands", size=64, seed=4, without=("lens",)))
    seen = 0
    for i in range(10):
        label, visible = (picture := generator.picture(i)).label, picture.visible
        joints = np.array([hand["joints_camera"] for hand in label["hands"]])
        uv = np.rint([hand["joints_image"] for hand in label["hands"]]).astype(int)
        for hand in range(2):
            for joint in range(21):
                u, v = uv[hand, joint]
                if not (0 <= u < 64 and 0 <= v < 64) or visible[v, u] not in (1, 2):
                    continue
                # Where a joint of this hand lies well before every joint of the other, the other is not what is seen.
                if joints[hand, joint, 2] < joints[1 - hand, :, 2].min() - 0.03:
                    assert visible[v, u] == label["hands"][hand]["number"]
                    seen += 1
    generator.close()
    assert seen > 20
