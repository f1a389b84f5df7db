"""Pictures of codes: what is far apart in them is far apart there, in its category's colour."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).parents[2] / "tools"
BLUE, RED = (39, 125, 161), (230, 57, 70)


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("draw_object_aware")


def test_codes_are_spread_along_their_main_axes(tool, rng):
    codes = rng.normal(0, 0.1, (40, 64))
    codes[:20, 30] += 8.0
    names = ("cylinder", "bar")
    picture = tool.scatter(codes, [*["cylinder"] * 20, *["bar"] * 20], names, "")
    columns = [np.flatnonzero((picture[60:460] == color).all(-1).any(0)) for color in (BLUE, RED)]
    assert all(len(c) for c in columns)
    assert columns[0].min() - columns[1].max() > 200 or columns[1].min() - columns[0].max() > 200


def test_curves_are_drawn_from_scores(tool, tmp_path):
    for name in ("prior", "triplet"):
        curve = {"thresholds": [0.0, 0.025, 0.05], "pck": [0.0, 0.4, 1.0]}
        (tmp_path / f"{name}.json").write_text(json.dumps({"curves": {"joints_root_scale": curve}}))
    words = ["curves", str(tmp_path / "prior.json"), str(tmp_path / "triplet.json"), "--out", str(tmp_path / "a.png")]
    assert tool.main(words) == 0
    assert (tmp_path / "a.png").stat().st_size > 1000
