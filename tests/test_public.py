"""The names one reaches for: what `knuckle` has at the top, and that asking for it costs nothing before it is used."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import knuckle
from knuckle.predict.pictures import check_picture

EXAMPLE = Path(__file__).parents[1] / "examples" / "hand.jpg"
PUBLIC = [
    "Camera",
    "Gestures",
    "Hand",
    "HandModel",
    "Hands",
    "Predictor",
    "VideoPredictor",
    "__version__",
    "example_image",
    "fit_hand",
    "predict",
    "read_image",
]


def test_the_public_names():
    """A name that is taken away here breaks somebody's program: it takes a line in the changelog."""
    assert knuckle.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(knuckle))
    # Beside them only modules that were imported.
    rest = {name for name in dir(knuckle) if not name.startswith("_")} - set(PUBLIC)
    assert all(inspect.ismodule(getattr(knuckle, name)) for name in rest)
    for name in PUBLIC:
        value = getattr(knuckle, name)
        assert name == "__version__" or inspect.getdoc(value)
    with pytest.raises(AttributeError, match="has no attribute 'predictor'; it has Camera, "):
        knuckle.predictor  # noqa: B018


def test_importing_knuckle_and_the_light_names_imports_nothing_heavy():
    code = (
        "import sys, knuckle; dir(knuckle); heavy = {'torch', 'cv2', 'onnxruntime', 'numpy', 'av', 'pandas'};"
        "assert not heavy & set(sys.modules);"
        "knuckle.Hand, knuckle.Hands, knuckle.HandModel, knuckle.Camera, knuckle.Gestures, knuckle.fit_hand;"
        "assert not {'torch', 'onnxruntime'} & set(sys.modules);"
        "knuckle.Predictor, knuckle.predict, knuckle.VideoPredictor;"
        "assert not {'torch', 'av', 'pandas'} & set(sys.modules)"
    )
    path = str(Path(knuckle.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path})


def test_fit_hand_without_a_model_names_it():
    # In a process of its own: the types that tests check would answer before.
    code = "import knuckle, numpy; knuckle.fit_hand(numpy.zeros((21, 3)))"
    path = str(Path(knuckle.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert "TypeError: model must be the hand to fit, knuckle.HandModel.open(), but got ndarray" in done.stderr


def test_a_path_an_array_and_a_list_give_the_same_hands():
    image = knuckle.read_image(EXAMPLE)
    np.testing.assert_array_equal(knuckle.example_image(), image)
    hands = knuckle.predict(image)
    assert isinstance(hands, knuckle.Hands)
    (hand,) = hands
    assert hand.side == "right"
    several = knuckle.predict([EXAMPLE, str(EXAMPLE), image], max_hands=1)
    for found in [knuckle.predict(EXAMPLE), *several]:
        # Another number of threads adds in another order.
        np.testing.assert_allclose(found[0].joints_camera, hand.joints_camera, atol=1e-6)
    assert knuckle.predict([]) == []


def test_a_camera_is_the_one_that_is_given():
    camera = knuckle.Camera.from_fov((512, 512), 0.8)
    (hand,) = knuckle.predict(EXAMPLE, camera)
    assert hand.camera.K[0, 0] == camera.K[0, 0]


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (None, TypeError, "got None, which cv2.imread gives of a missing file"),
        (7, TypeError, "must be a NumPy array .* but got int"),
        ("nowhere.jpg", ValueError, "nowhere.jpg: cannot be read"),
        (EXAMPLE.parent, ValueError, "is a folder; give its files"),
        ("clip.mp4", ValueError, "is a video; use knuckle.VideoPredictor"),
        (np.zeros((9, 9), np.uint8), ValueError, r"repeat the grey channel"),
        (np.zeros((9, 9, 4), np.uint8), ValueError, r"leave out the alpha channel: image\[..., :3\]"),
        (np.zeros((3, 9, 9), np.uint8), ValueError, "move the channels to the end"),
        (np.zeros((9, 9, 3)), ValueError, "scale it"),
    ],
)
def test_what_is_no_picture_is_answered_with_what_to_do(picture, error, message):
    with pytest.raises(error, match=message):
        knuckle.predict(picture)


def test_a_predictor_given_a_path_names_the_functions_that_take_one(predictor):
    # What a predictor asks first; called with a path itself, the types that tests check would answer before.
    with pytest.raises(TypeError, match=r"got the path 'a.jpg'; call knuckle.predict\(path\)"):
        check_picture("a.jpg")
    with pytest.raises(ValueError, match="max_hands must be at least 1 but got 0"):
        predictor(knuckle.example_image(), max_hands=0)


def test_a_picture_in_opencvs_order_is_noticed(predictor):
    with pytest.warns(UserWarning, match="probably BGR, as OpenCV reads pictures"):
        assert predictor(knuckle.example_image()[..., ::-1])
    # A blue glove in a file is no mistake; warnings are errors here.
    assert predictor(knuckle.example_image()[..., ::-1], check_channels=False)


def test_a_batch_is_what_a_loop_gives(predictor):
    image = knuckle.example_image()
    images = [image, image[:, ::-1].copy(), np.full((90, 120, 3), 128, np.uint8)]
    batch = predictor.batch(images, workers=2)
    assert [[h.to_json() for h in hands] for hands in batch] == [[h.to_json() for h in predictor(i)] for i in images]
    with pytest.raises(ValueError, match="cameras must be as many as images, 3, but got 1"):
        predictor.batch(images, [None])


@pytest.fixture(scope="module")
def predictor():
    return knuckle.Predictor(threads=1)
