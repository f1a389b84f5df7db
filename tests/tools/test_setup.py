"""tools/setup.sh on machines that lack something, which stubs on PATH stand for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EGL_LINE = "apt-get install libegl1 libgl1 libgl1-mesa-dri"
# A Python for which OpenGL starts once apt-get has installed something.
PYTHON = """
case "$*" in *create_context*) [ -e "$STATE/installed" ] || { echo "OSError: libEGL.so.1 not loaded"; exit 1; };; esac
"""
APT_GET = """
echo "apt-get $*" >>"$STATE/calls"
case "$1" in install) : >"$STATE/installed";; esac
"""


class Machine:
    """A PATH with nothing on it but stubs and what the script itself calls."""

    def __init__(self, folder: Path):
        self.folder, self.state = folder / "bin", folder
        self.folder.mkdir()
        for name in ("sed", "tail", "env"):
            (self.folder / name).symlink_to(str(shutil.which(name)))
        self.stub("id", "echo 0")
        self.stub("python", PYTHON)

    def stub(self, name: str, script: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.folder), "STATE": str(self.state)}
        command = ["/bin/sh", str(ROOT / "tools" / "setup.sh"), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        log = self.state / "calls"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_nothing_is_installed_where_opengl_starts(machine):
    machine.stub("apt-get", APT_GET)
    machine.stub("python", "exit 0")
    done = machine.run("egl", "python")
    assert (done.returncode, done.stderr, machine.calls()) == (0, "", [])


def test_root_installs_what_is_missing(machine):
    machine.stub("apt-get", APT_GET)
    assert machine.run("egl", "python").returncode == 0
    assert machine.calls() == ["apt-get update -qq", "apt-get install -y -qq libegl1 libgl1 libgl1-mesa-dri"]


def test_sudo_is_used_where_it_asks_no_password(machine):
    machine.stub("apt-get", APT_GET)
    machine.stub("id", "echo 1000")
    machine.stub("sudo", 'echo "sudo $*" >>"$STATE/calls"; shift; exec env "$@"')
    machine.stub("true", "exit 0")
    assert machine.run("egl", "python").returncode == 0
    assert [call for call in machine.calls() if call.startswith("apt-get install")]
    assert all(call.split()[1] == "-n" for call in machine.calls() if call.startswith("sudo"))


@pytest.mark.parametrize(
    "why", ["no apt-get", "no sudo", "sudo asks", "apt-get fails", "it does not help", "only look"]
)
def test_where_it_cannot_be_installed_the_line_to_type_is_named(machine, why):
    if why != "no apt-get":
        machine.stub("apt-get", {"apt-get fails": "exit 100", "it does not help": "exit 0"}.get(why, APT_GET))
    if why in ("no sudo", "sudo asks"):
        machine.stub("id", "echo 1000")
    if why == "sudo asks":
        machine.stub("sudo", "exit 1")
    done = machine.run("check-egl" if why == "only look" else "egl", "python")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == EGL_LINE
    assert "libEGL.so.1 not loaded" in done.stderr
    assert machine.calls() == []


def test_the_browser_is_installed_where_there_is_none(machine):
    machine.stub("apt-get", APT_GET + 'case "$1" in install) ln -s "${0%/*}/env" "${0%/*}/chromium";; esac')
    (machine.folder / "ln").symlink_to(str(shutil.which("ln")))
    assert machine.run("chromium").returncode == 0
    assert machine.calls() == ["apt-get update -qq", "apt-get install -y -qq chromium"]
    assert machine.run("chromium").stderr == ""
    assert len(machine.calls()) == 2


def test_where_there_can_be_no_browser_the_line_to_type_is_named(machine):
    done = machine.run("chromium")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "apt-get install chromium"


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ('case "$*" in *ensurepip*) echo Traceback >&2; exit 1;; esac', "apt-get install python3-venv"),
        ('case "$*" in *version_info*) exit 1;; -V) echo Python 3.9.2;; esac', "make PYTHON=python3.11"),
        (None, "apt-get install python3 python3-venv"),
    ],
)
def test_a_python_that_makes_no_environment_is_named(machine, tmp_path, script, line):
    (machine.folder / "python").unlink()
    if script:
        machine.stub("python", script)
    done = machine.run("venv", "python", str(tmp_path / "env"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "env").exists()


def test_an_environment_is_made(machine, tmp_path):
    machine.stub("python", f'case "$1 $2" in "-m venv") exec "{sys.executable}" -m venv --without-pip "$3";; esac')
    assert machine.run("venv", "python", str(tmp_path / "env")).returncode == 0
    assert (tmp_path / "env" / "bin" / "python").exists()


def test_other_words_show_how_it_is_called(machine):
    done = machine.run("egl")
    assert done.returncode == 2
    assert "tools/setup.sh egl PYTHON" in done.stderr


@pytest.mark.parametrize("has_egl", [True, False])
def test_make_test_fails_where_tests_were_left_out(tmp_path, has_egl):
    """The Makefile's own lines, with a Python that writes down how pytest was called."""
    for folder in ("tools", "env/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("Makefile", "tools/setup.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "env/bin/python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *pytest*) echo "$*" >>called;; *create_context*) exit {int(not has_egl)};; esac\n'
    )
    python.chmod(0o755)
    # Everything before the tests counts as done; nobody is root and there is no sudo.
    machine = Machine(tmp_path)
    machine.stub("id", "echo 1000")
    done_already = [f"--old-file={name}" for name in ("lint", "tools/gltf/node_modules/.installed")]
    make = str(shutil.which("make"))
    done = subprocess.run(
        [make, "test", "VENV=env", *done_already],
        cwd=tmp_path,
        env={**os.environ, "PATH": str(machine.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    called = (tmp_path / "called").read_text()
    assert (done.returncode == 0) == has_egl, done.stderr
    assert ("not egl" in called) == (not has_egl)
    assert (EGL_LINE in done.stderr) == (not has_egl)
