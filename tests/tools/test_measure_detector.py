"""The detector's scores, of detections whose errors are known."""

import sys
from pathlib import Path

import numpy as np
import pytest

from hand_pictures import drawn_samples, write_truth
from knuckle.datasets.sets import LabelledPicture
from knuckle.predict.crop import hand_direction
from knuckle.predict.detect import Detection, box_of_joints

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import measure_detector

    yield measure_detector
    del sys.modules["measure_detector"]


def test_known_errors_are_measured(tool):
    """Of five hands one is missed, one is found on half its area, one has the wrong side, one is turned."""
    samples = drawn_samples(5, seed=2)
    pictures = [LabelledPicture(np.asarray(sample.image), [sample], "g") for sample in samples]

    def detect(image):
        number = next(i for i, sample in enumerate(samples) if sample.image is image)
        uv, left = np.asarray(samples[number].joints_image), samples[number].side == "left"
        box, direction = box_of_joints(uv), hand_direction(uv)
        if number == 1:
            box[3] = box[1] + 0.6 * (box[3] - box[1])
        if number == 2:
            left = not left
        if number == 3:
            direction = np.array([-direction[1], direction[0]])
        elsewhere = Detection(np.array([0.0, 0.0, 4.0, 4.0]), 0.4, 0.5, direction)
        return [] if number == 0 else [Detection(box, 0.9, 0.9 if left else 0.1, direction), elsewhere]

    measured = tool.measure(pictures, detect)
    np.testing.assert_allclose(measured.overlap, [0.0, 0.6, 1.0, 1.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(measured.degrees[1:], [0.0, 0.0, 90.0, 0.0], atol=1e-3)
    assert measured.side_right.tolist() == [False, True, False, True, True]
    assert (measured.pictures, measured.false_boxes) == (5, 4)
    assert (measured.size > 0.3).all()


def test_it_measures_a_folder_with_the_packages_detector(tool, tmp_path, capsys):
    tool.main([write_truth(tmp_path / "set", drawn_samples(2)), "--threshold", "0.01"])
    assert "2 pictures" in " ".join(capsys.readouterr().out.split())
