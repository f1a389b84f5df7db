"""What README.md and docs/*.md tell people to type works: Python blocks run, commands and their options exist."""

import re
from pathlib import Path

import numpy as np
import pytest

import tiny_sets
from known_networks import box_corners, write_onnx
from knuckle.cli import COMMANDS, main, make_app
from knuckle.handmodel import HandModel
from knuckle.predict import Contract, CropRule
from mano_fixture import mano_arrays, write_mano_pickle
from robot_fixture import urdf

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# The recipe of the weights is documentation too; there the command is a variable.
SCRIPTS = [ROOT / "tools" / "train_weights.sh"]


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def write_foreign_network(path: Path) -> None:
    """An ONNX file of another maker: the inputs and outputs of docs/training.md's example, and no metadata."""
    crop = CropRule(size=224, orientation="picture", hands="right")
    contract = Contract("", crop=crop, coordinates="metric", inputs=("image", "K"), outputs=("joints", "corners"))
    joints = HandModel.open().joints_rest - HandModel.open().joints_rest.mean(0) + np.array([0.0, 0.0, 0.5])
    write_onnx(path, contract, {"joints": joints, "corners": box_corners([0.0, 0.0, 0.5])}, metadata={})


def command_lines(text: str) -> list[str]:
    """Every `knuckle ...` that stands in a code span, in an indented or fenced block, or in a shell script."""
    text = re.sub(r"\s*\\\n\s*", " ", text).replace("$knuckle ", "knuckle ")
    spans = re.findall(r"`(knuckle [^`\n]+)`", text)
    lines = [part.strip() for line in text.splitlines() for part in re.split(r"&&|;|\{", line)]
    return [*spans, *(line for line in lines if line.startswith("knuckle ") and not line.endswith("`"))]


COMMAND_LINES = sorted(
    {
        (str(path.relative_to(ROOT)), line)
        for path in [*PAGES, *SCRIPTS]
        for line in command_lines(path.read_text())
        # In prose "knuckle takes" begins a line as well.
        if path in SCRIPTS or line.split()[1] in COMMANDS or "--" in line
    }
)


@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch, rng):
    # What the pages speak of and a person has: the repository's examples, a data set, a MANO file, a network, a robot.
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    tiny_sets.freihand(tmp_path / "FreiHAND_pub_v2")
    write_mano_pickle(tmp_path / "MANO_RIGHT.pkl", mano_arrays(rng, left=False))
    write_foreign_network(tmp_path / "mine.onnx")
    (tmp_path / "hand.urdf").write_text(urdf())
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}  # later blocks of a page go on from earlier ones
    for number, block in enumerate(python_blocks(page), start=1):
        exec(compile(block, f"{page.name}, Python block {number}", "exec"), names)


def test_the_readme_has_a_snippet_that_finds_a_hand(tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(python_blocks(ROOT / "README.md")[0], "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("right ")


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_documented_commands_and_options_exist(page, line):
    command = line.split()[1]
    assert command in COMMANDS
    arguments = make_app(command)[command].assemble_argument_collection()
    known = {name for argument in arguments for name in argument.names}
    asked = set(re.findall(r"(?<![\w-])(--?[a-z][a-z0-9-]*)", line))
    assert asked <= known, f"{page} names options that `knuckle {command}` has not: {sorted(asked - known)}"


def test_every_command_has_help_and_a_line_in_the_readme(capsys):
    documented = {line.split()[1] for page, line in COMMAND_LINES if page == "README.md"}
    assert documented == set(COMMANDS)
    for command in COMMANDS:
        assert main([command, "--help"]) == 0
        assert f"knuckle {command}" in capsys.readouterr().out


def test_command_lines_are_found():
    text = (
        "Say `knuckle fit A --out B` or\n\n    knuckle a --b && knuckle c\nso knuckle does.\n    $knuckle d \\\n  --e\n"
    )
    assert command_lines(text) == ["knuckle fit A --out B", "knuckle a --b", "knuckle c", "knuckle d --e"]
    assert len(COMMAND_LINES) > 10
    assert not any("`" in line for _, line in COMMAND_LINES)
