"""Files that once took gigabytes, minutes, or ended in a traceback are refused in a line, in little time and memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.cases import CASES
from fuzz.limits import Outcome, outcomes
from fuzz.targets import TARGETS

TESTS = Path(__file__).parent


def run(*arguments: str) -> str:
    """A program of `fuzz` in a process of its own, which has no threads that a fork would lose."""
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,  # on a machine that is busy
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def past() -> dict[str, dict]:
    lines = [json.loads(line) for line in run("fuzz.past").splitlines() if line.startswith("{")]
    return {line["case"]: line for line in lines}


@pytest.mark.parametrize("name", CASES)
def test_past_failures_are_refused_cheaply(past, name):
    found = past[name]
    assert not found["fault"]
    assert found["ended"] == "refused", found["text"]
    assert "\n" not in found["text"].partition("see\n")[0]


@pytest.mark.parametrize("name", TARGETS)
def test_healthy_files_are_read(name, tmp_path):
    target = TARGETS[name]
    path = target.prepare(tmp_path)
    for seed in target.seeds():
        path.write_bytes(seed)
        target.read(path)


def test_damaged_files_of_every_reader():
    """A short run of `make fuzz`, which exits with 1 where there is a fault."""
    table = [line for line in run("fuzz", "--inputs", "512", "--seed", "7").splitlines() if line.startswith("| ")]
    assert len(table) == len(TARGETS) + 1


def test_the_readers_are_those_of_the_table():
    lines = (TESTS.parent / "SECURITY.md").read_text().partition("| reader |")[2].partition("##")[0].splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:] if line] == list(TARGETS)


def test_faults_are_found():
    """The harness itself: crashes, time, memory, and what is run are told apart."""
    code = (
        "import json, os, time\n"
        "from fuzz.limits import InputError, Read, outcomes\n"
        "def crash(): os.abort()\n"
        "def slow():\n"
        "    until = time.process_time() + 2.1\n"
        "    while time.process_time() < until: pass\n"
        "def large(): return bytes(1) * 600_000_000\n"
        "def bug(): return {}['x']\n"
        "def program(): os.system('true')\n"
        "def refused(): raise InputError('no')\n"
        "reads = [crash, slow, large, bug, program, refused, dict]\n"
        "for found in outcomes(Read(lambda: None, read) for read in reads): print(json.dumps(found))\n"
    )
    script = subprocess.run(
        [sys.executable, "-c", code], cwd=TESTS, capture_output=True, text=True, timeout=600, check=True
    )
    found = [Outcome(*json.loads(line)) for line in script.stdout.splitlines()]
    assert [f.fault.partition(" ")[0] for f in found] == ["crash:", "took", "took", "traceback:", "ran", "", ""]
    assert [f.ended for f in found[-2:]] == ["refused", "read"]
    assert list(outcomes(iter(()))) == []
