import numpy as np
import pytest

from knuckle.skeleton import (
    BONES,
    BOX_CORNERS,
    BOX_EDGES,
    BOX_FACES,
    FINGER_JOINTS,
    FINGERS,
    JOINT_NAMES,
    ORDERS,
    PALM_RECIPES,
    PARENTS,
    TIPS,
    from_common,
    palm_to_wrist,
    to_common,
    wrist_to_palm,
)


def test_tree():
    assert len(JOINT_NAMES) == len(set(JOINT_NAMES)) == len(PARENTS) == 21
    assert len(BONES) == 20
    for finger in FINGERS:
        joints = FINGER_JOINTS[finger]
        assert all(JOINT_NAMES[j].startswith(finger) for j in joints)
        assert [PARENTS[j] for j in joints] == [0, *joints[:-1]]
    assert tuple(JOINT_NAMES.index(f"{finger}_tip") for finger in FINGERS) == TIPS


@pytest.mark.parametrize("order", ORDERS)
def test_orders_round_trip(order, to_array, rng):
    assert sorted(ORDERS[order]) == list(range(21))
    joints = to_array(rng.normal(size=(2, 3, 21, 3)))
    common = to_common(joints, order)
    np.testing.assert_array_equal(np.asarray(common), np.asarray(joints)[..., list(ORDERS[order]), :])
    np.testing.assert_array_equal(np.asarray(from_common(common, order)), np.asarray(joints))
    visible = to_array(rng.random((4, 21)) > 0.5)
    np.testing.assert_array_equal(
        np.asarray(to_common(from_common(visible, order, axis=-1), order, axis=-1)), np.asarray(visible)
    )


@pytest.mark.parametrize(
    ("order", "name", "index"),
    [
        ("rhd", "thumb_tip", 1),
        ("rhd", "little_mcp", 20),
        ("stb", "little_mcp", 1),
        ("stb", "ring_mcp", 5),
        ("stb", "thumb_tip", 20),
        ("mano_manopth", "thumb_tip", 16),
        ("mano_manopth", "little_tip", 20),
        ("mano_manopth", "little_mcp", 7),
        ("mano_minimal_hand", "thumb_tip", 20),
        ("mano_minimal_hand", "little_tip", 18),
        ("mano_minimal_hand", "ring_tip", 19),
        ("ho3d", "middle_mcp", 4),
        ("fpha", "little_mcp", 5),
        ("fpha", "thumb_tip", 8),
        ("interhand", "wrist", 20),
        ("interhand", "thumb_tip", 0),
        ("interhand", "little_mcp", 19),
        ("ait", "middle_mcp", 3),
        ("ait", "middle_pip", 8),
        ("ait", "little_tip", 20),
    ],
)
def test_orders_by_name(order, name, index):
    assert ORDERS[order][JOINT_NAMES.index(name)] == index


def test_fingertips_are_farthest_after_permuting():
    """On an open hand each finger's joints move away from the wrist, whatever order they came in."""
    hand = np.zeros((21, 3))
    for i, finger in enumerate(FINGERS):
        for step, joint in enumerate(FINGER_JOINTS[finger]):
            hand[joint] = (0.02 * (2 - i), 0.08 + 0.03 * step, 0)
    for order in ORDERS:
        distance = np.linalg.norm(to_common(from_common(hand, order), order), axis=-1)
        for finger in FINGERS:
            assert np.all(np.diff(distance[list(FINGER_JOINTS[finger])]) > 0)


@pytest.mark.parametrize("recipe", PALM_RECIPES)
def test_palm_and_wrist(recipe, to_array, rng):
    joints = to_array(rng.normal(size=(2, 21, 3)))
    np.testing.assert_allclose(
        np.asarray(palm_to_wrist(wrist_to_palm(joints, recipe), recipe)), np.asarray(joints), atol=1e-14
    )


def test_palm_recipes_as_published(rng):
    palm = rng.normal(size=(21, 3))
    np.testing.assert_allclose(palm_to_wrist(palm, "ring_2")[0], palm[13] + 2 * (palm[0] - palm[13]))
    np.testing.assert_allclose(palm_to_wrist(palm, "middle_2")[0], 2 * palm[0] - palm[9])
    np.testing.assert_allclose(palm_to_wrist(palm, "middle_2.2")[0], palm[9] + 2.2 * (palm[0] - palm[9]))
    each = [palm[i] + 2.25 * (palm[0] - palm[i]) for i in (5, 9, 13, 17)]
    np.testing.assert_allclose(palm_to_wrist(palm, "fingers_2.25")[0], np.mean(each, axis=0))
    np.testing.assert_allclose(wrist_to_palm(palm, "middle_2")[0], (palm[0] + palm[9]) / 2)


def test_what_is_refused(rng):
    with pytest.raises(ValueError, match="order must be one of"):
        to_common(rng.normal(size=(21, 3)), "rdh")
    with pytest.raises(ValueError, match="must hold 21 joints"):
        to_common(rng.normal(size=(16, 3)), "rhd")
    with pytest.raises(ValueError, match="recipe must be one of"):
        palm_to_wrist(rng.normal(size=(21, 3)), "middle")


def test_box():
    corners = np.array(BOX_CORNERS)
    for i, corner in enumerate(corners > 0):
        assert i == 4 * corner[0] + 2 * corner[1] + corner[2]
    assert len({tuple(sorted(e)) for e in BOX_EDGES}) == 12
    for a, b in BOX_EDGES:
        assert np.linalg.norm(corners[a] - corners[b]) == 1
    assert len({tuple(sorted(f)) for f in BOX_FACES}) == 6
    edges = {tuple(sorted(e)) for e in BOX_EDGES}
    for face in BOX_FACES:
        quad = corners[list(face)]
        assert all(tuple(sorted((face[i], face[i - 1]))) in edges for i in range(4))
        normal = np.cross(quad[1] - quad[0], quad[2] - quad[1])
        np.testing.assert_allclose(normal, 2 * quad.mean(axis=0))
