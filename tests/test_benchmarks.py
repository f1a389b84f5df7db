"""The runner of papers' tables, with a stub in the place of `knuckle`; and the tables that are in the repository."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from benchmarks.papers import PAPERS, open_paper
from benchmarks.render import README, render
from benchmarks.results import RESULTS, ROOT, Job, read_result
from benchmarks.run import Runner, find_knuckle, jobs_of, newest_checkpoint, state_of, train_progress
from benchmarks.tables import Metric, Paper, Row, Table, Trial
from knuckle.cli import make_app
from knuckle.synth.presets import WITHOUT, preset_without
from knuckle.systems import open_system
from knuckle.systems.config import with_settings

# Writes down how it was called. Training fails where a file "fail" lies beside it; where "hang" does it trains until it
# is interrupted, and then leaves a checkpoint.
STUB = """
import json, pathlib, sys, time
words, home = sys.argv[1:], pathlib.Path(__file__).parent
with (home / "calls").open("a") as file:
    print(*words, file=file)
after = lambda name: words[words.index(name) + 1]
if words[0] == "train":
    if (home / "fail").exists():
        print("out of paper")
        sys.exit(2)
    run = pathlib.Path(after("--out"))
    run.mkdir(parents=True, exist_ok=True)
    (run / "log.jsonl").write_text(json.dumps({"step": 5, "progress": 0.5}) + "\\n")
    try:
        while (home / "hang").exists():
            time.sleep(0.02)
        (run / "step-0000010").mkdir()
    except KeyboardInterrupt:
        (run / "step-0000005").mkdir(exist_ok=True)
        sys.exit(130)
if words[0] == "eval":
    seed = int(words[1].split("seed-")[1].split("/")[0])
    score = {"value": 10.0 + 2 * seed, "median": 9.0}
    scores = {"joints_pa": score, "image": score, "auc": {"value": None, "median": None}}
    pathlib.Path(after("--json")).write_text(json.dumps({"scores": scores}))
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """The folder of the stub, which is $KNUCKLE."""
    folder = tmp_path / "stub"
    folder.mkdir()
    path = folder / "knuckle"
    path.write_text(f"#!{sys.executable}\n{STUB}")
    path.chmod(0o755)
    monkeypatch.setenv("KNUCKLE", str(path))
    return folder


def calls(stub):
    path = stub / "calls"
    return path.read_text().splitlines() if path.exists() else []


def paper():
    trial = Trial(
        ("knuckle synth {data}/a --images 3",),
        "knuckle train shipped --data {data}/a --out {run} --seed {seed}",
        {"a": "knuckle eval {checkpoint} --root {data}/a"},
        (0, 1),
    )
    metrics = (Metric("PA-MPJPE", "mm", "a", "joints_pa"), Metric("median", "mm", "a", "joints_pa.median", 1))
    rows = (Row("Base", {"tiny": trial}, {"PA-MPJPE": 6.5}), Row("Without a|b (c)", {"tiny": trial, "full": trial}))
    return Paper("some", "Somebody 2020", (Table("Table 1", metrics, rows, "A note."),))


def test_jobs_run_once_and_render(tmp_path, stub):
    jobs = jobs_of(paper(), "tiny")
    assert [job.name.split("/", 2)[2] for job in jobs] == [
        f"{slug}/seed-{seed}" for slug in ("base", "without-a-b-c") for seed in (0, 1)
    ]
    assert Runner(tmp_path).run(jobs[:2]) == []
    words = [call.split() for call in calls(stub)]
    assert [call[0] for call in words] == ["synth", "train", "eval", "train", "eval"]
    run = "runs/benchmarks/some/tiny/base/seed-0"
    assert calls(stub)[1] == f"train shipped --data runs/benchmarks/data/a --out {run} --seed 0"
    assert calls(stub)[2] == f"eval {run}/step-0000010 --root runs/benchmarks/data/a --json {run}/scores-0.json"

    kept = json.loads((tmp_path / "benchmarks/results/some/tiny/base.seed-1.json").read_text())
    assert kept["metrics"] == {"a": {"joints_pa": 12.0, "joints_pa.median": 9.0, "image": 12.0, "image.median": 9.0}}
    assert {"processor", "commit", "version", "seconds", "commands", "date"} < set(kept)
    assert str(tmp_path) not in json.dumps(kept)

    assert Runner(tmp_path).run(jobs[:2]) == []
    assert len(calls(stub)) == 5, "what has a result is not run again"
    page = render([paper()], tmp_path)
    assert "## Somebody 2020" in page
    assert "A note." in page
    lines = page.splitlines()
    assert "| row | preset | PA-MPJPE (mm) | paper | median (mm) | seeds | processor, time a run |" in lines
    base = next(line for line in lines if line.startswith("| Base | tiny |"))
    assert base.startswith("| Base | tiny | 11.00 ± 1.41 | 6.5 | 9.0 ± 0.0 | 0, 1 | ")
    assert kept["processor"] in base
    for preset in ("tiny", "full"):
        assert f"| Without a\\|b (c) | {preset} | not run |  | not run |  |  |" in lines


def test_one_seed_has_no_spread(tmp_path, stub):
    Runner(tmp_path).run(jobs_of(paper(), "tiny", "base", [3]))
    assert "| Base | tiny | 16.00 | 6.5 | 9.0 | 3 |" in render([paper()], tmp_path)


def test_a_failure_is_told_and_the_rest_runs(tmp_path, stub, capsys):
    jobs = jobs_of(paper(), "tiny")
    (stub / "fail").touch()
    assert Runner(tmp_path).run(jobs[:1]) == jobs[:1]
    said = capsys.readouterr().out
    assert "ended with status 2" in said
    assert "out of paper" in said
    assert "runs/benchmarks/some/tiny/base/seed-0/log.txt" in said
    assert state_of(jobs[0], tmp_path) == "begun"
    (stub / "fail").unlink()
    assert Runner(tmp_path).run(jobs) == []
    assert state_of(jobs[0], tmp_path) == "done"


def test_changed_commands_are_no_result_and_no_run_to_go_on_with(tmp_path, stub, capsys):
    job = jobs_of(paper(), "tiny")[0]
    Runner(tmp_path).run([job])
    trial = replace(job.trial, train=job.trial.train + " --steps 7")
    changed = replace(job, row=replace(job.row, trials={"tiny": trial}))
    assert read_result(job, tmp_path)
    assert read_result(changed, tmp_path) is None
    capsys.readouterr()
    assert Runner(tmp_path).run([changed]) == [changed]
    assert "remove that folder" in capsys.readouterr().out
    shutil.rmtree(tmp_path / job.run)
    assert Runner(tmp_path).run([changed]) == []


def test_a_result_that_is_none_is_named(tmp_path):
    job = jobs_of(paper(), "tiny")[0]
    (tmp_path / job.result).parent.mkdir(parents=True)
    (tmp_path / job.result).write_text("{}")
    with pytest.raises(ValueError, match="must be a result that the runner wrote"):
        read_result(job, tmp_path)


def test_rows_are_chosen_by_pattern():
    assert {job.row.name for job in jobs_of(paper(), "tiny", "*WITHOUT*")} == {"Without a|b (c)"}
    assert [job.seed for job in jobs_of(paper(), "full", seeds=[4, 2])] == [4, 2]
    with pytest.raises(ValueError, match=r"--row must match a row of some under full but got 'base'"):
        jobs_of(paper(), "full", "base")


def test_papers_that_do_not_fit_together_are_refused():
    table = paper().tables[0]
    row = table.rows[0]
    with pytest.raises(ValueError, match=r"share \['Base'\]"):
        Paper("x", "", (replace(table, rows=(row, row)),))
    with pytest.raises(ValueError, match="share 'base'"):
        Paper("x", "", (replace(table, rows=(row, replace(row, name="BASE"))),))
    with pytest.raises(ValueError, match="share 'base'"):
        Paper("x", "", (replace(table, rows=(row, replace(table.rows[1], training="Base"))),))
    with pytest.raises(ValueError, match="presets must be of"):
        Paper("x", "", (replace(table, rows=(replace(row, trials={"huge": row.trials["tiny"]}),)),))
    with pytest.raises(ValueError, match="figures must be of the table's metrics"):
        Paper("x", "", (replace(table, rows=(replace(row, figures={"AUC": 1.0}),)),))
    with pytest.raises(ValueError, match="must have the evaluations"):
        Paper("x", "", (replace(table, metrics=(replace(table.metrics[0], evaluation="b"),)),))


def test_a_row_of_two_tables_is_run_once(tmp_path, stub):
    table = paper().tables[0]
    base = table.rows[0]
    again = replace(base, name="As in Table 1", figures={"median": 5.0}, training="Base")
    two = Paper("some", "", (table, Table("Table 2", table.metrics, (again,))))
    assert [row.name for row in two.rows] == ["Base", "Without a|b (c)"]
    jobs = jobs_of(two, "tiny", table="table 2")
    assert [(job.row.name, job.name) for job in jobs] == [
        ("As in Table 1", f"some/tiny/base/seed-{seed}") for seed in (0, 1)
    ]
    assert len(jobs_of(two, "tiny")) == 4
    assert jobs_of(two, "tiny", "as in*")[0].name == jobs_of(two, "tiny", "base")[0].name
    assert Runner(tmp_path).run(jobs) == []
    called = len(calls(stub))
    assert Runner(tmp_path).run(jobs_of(two, "tiny", "base")) == []
    assert len(calls(stub)) == called
    lines = render([two], tmp_path).splitlines()
    for name in ("Base", "As in Table 1"):
        assert any(line.startswith(f"| {name} | tiny | 11.00 ± 1.41") for line in lines)
    with pytest.raises(ValueError, match="--table must match a table of some but got 'table 3'"):
        jobs_of(two, "tiny", table="table 3")


def test_a_user_s_folder_is_in_no_result(tmp_path, stub, monkeypatch, capsys):
    table = paper().tables[0]
    trial = table.rows[0].trials["tiny"]
    changed = replace(trial, train=trial.train + " --data weak:$PHOTOS:2d")
    row = replace(table.rows[0], trials={"tiny": changed})
    with pytest.raises(ValueError, match=r"folders must say what \['PHOTOS'\] are"):
        Paper("some", "", (replace(table, rows=(row,)),))
    trial = replace(changed, folders={"PHOTOS": "photographs of hands"})
    some = Paper("some", "", (replace(table, rows=(replace(table.rows[0], trials={"tiny": trial}),)),))
    job = jobs_of(some, "tiny", seeds=[0])[0]
    monkeypatch.delenv("PHOTOS", raising=False)
    assert Runner(tmp_path).run([job]) == [job]
    assert "the variable PHOTOS must be the folder of photographs of hands but is not set" in capsys.readouterr().out
    monkeypatch.setenv("PHOTOS", str(tmp_path / "nowhere"))
    assert Runner(tmp_path).run([job]) == [job]
    folder = tmp_path / "my photos"
    folder.mkdir()
    monkeypatch.setenv("PHOTOS", str(folder))
    assert Runner(tmp_path).run([job]) == []
    assert f"--data weak:{folder}:2d" in calls(stub)[1]
    kept = (tmp_path / job.result).read_text()
    assert "weak:$PHOTOS:2d" in kept
    assert str(folder) not in kept


def test_progress_is_read_from_a_log_that_is_being_written(tmp_path):
    assert train_progress(tmp_path) == 0.0
    (tmp_path / "log.jsonl").write_text('{"progress": 0.25}\n{"step": 3, "held_out/px": 4}\n{"progr')
    assert train_progress(tmp_path) == 0.25


def test_the_newest_checkpoint_is_the_highest_step(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    for name in ("step-0000900", "step-10000000", "step-0000950.part"):
        (tmp_path / name).mkdir()
    assert newest_checkpoint(tmp_path) == tmp_path / "step-10000000"


def test_a_knuckle_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("KNUCKLE", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(FileNotFoundError, match="must be installed"):
        find_knuckle()


class TestCommandLine:
    """`python -m benchmarks` in a folder that holds nothing but the package."""

    ROW = ("shipped", "--row", "base", "--seeds", "0")
    RESULT = "benchmarks/results/shipped/tiny/base.seed-0.json"
    RUN = "runs/benchmarks/shipped/tiny/base/seed-0"

    @pytest.fixture
    def root(self, tmp_path, stub):
        (tmp_path / "benchmarks").mkdir()
        for path in (ROOT / "benchmarks").glob("*.py"):
            shutil.copy(path, tmp_path / "benchmarks")
        return tmp_path

    def start(self, root, *words):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-m", "benchmarks", *words]
        return subprocess.Popen(
            command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def call(self, root, *words):
        process = self.start(root, *words)
        return process.communicate(timeout=60)[0], process.returncode

    def wait_for(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_runs_lists_and_renders(self, root, stub):
        said, status = self.call(root, *self.ROW)
        assert status == 0, said
        assert "1 of 1 have a result" in said
        assert [call.split()[0] for call in calls(stub)] == ["synth", "synth", "synth", "train", "eval", "eval"]
        said, status = self.call(root, *self.ROW[:3], "--list")
        assert (status, "seed 0: done" in said, "seed 1: not run" in said) == (0, True, True)
        assert self.call(root, "--render")[1] == 0
        assert "| base | tiny | 10.00 |" in (root / README).read_text()

    def test_ctrl_c_loses_nothing(self, root, stub):
        (stub / "hang").touch()
        process = self.start(root, *self.ROW)
        self.wait_for((root / self.RUN / "log.jsonl").exists)
        # A second runner stays away from a folder that is being worked on.
        said, status = self.call(root, *self.ROW)
        assert status == 1
        assert "is being worked on by another run" in said
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]
        assert process.returncode == 130, said
        assert "goes on from there" in said
        assert (root / self.RUN / "step-0000005").exists()
        assert not (root / self.RESULT).exists()
        assert "begun (step-0000005)" in self.call(root, *self.ROW, "--list")[0]
        (stub / "hang").unlink()
        assert self.call(root, *self.ROW)[1] == 0
        assert (root / self.RESULT).exists()

    def test_in_the_background(self, root, stub):
        (stub / "hang").touch()
        said, status = self.call(root, *self.ROW, "--background")
        assert status == 0
        log = root / re.search(r"tail -f (\S+)", said)[1]
        self.wait_for((root / self.RUN / "log.jsonl").exists)
        os.kill(int(re.search(r"kill (\d+)", said)[1]), signal.SIGTERM)
        self.wait_for(lambda: "stopped" in log.read_text())
        assert (root / self.RUN / "step-0000005").exists()

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("nobody",), "a paper must be one of shipped"),
            (("shipped", "--row", "nothing"), "there are: base"),
            (("shipped", "--seeds", "a"), "must be numbers such as 0,1,2"),
            ((), "a paper must be named"),
        ],
    )
    def test_mistakes_are_named(self, root, words, said):
        printed, status = self.call(root, *words)
        assert status == 2
        assert said in printed
        assert "Traceback" not in printed


@pytest.mark.parametrize("name", PAPERS)
def test_every_command_of_a_paper_is_one_that_knuckle_takes(name):
    paper = open_paper(name)
    for row in paper.rows:
        for preset in row.trials:
            job = Job(name, preset, row, 0)
            for command in (*job.trial.data, job.trial.train, *job.trial.evaluations.values()):
                words = job.words(command, "checkpoint")
                _, bound, _ = make_app().parse_args(words[1:], exit_on_error=False, print_error=False)
                asked = bound.arguments
                if words[1] == "synth":
                    preset_without(asked["preset"], asked["without"].split(",") if "without" in asked else [])
                if words[1] == "train":
                    system = open_system(asked["system"])
                    with_settings(system.config, [text for text in asked.get("set") or [] if "limits=" not in text])


@pytest.mark.parametrize("name", PAPERS)
def test_no_generated_picture_is_trained_on_and_tested_on(name):
    paper = open_paper(name)
    for row in paper.rows:
        for preset in row.trials:
            job = Job(name, preset, row, 0)
            drawn = {}
            for words in map(job.words, job.trial.data):
                if words[1] == "synth":
                    options = dict(zip(words[3::2], words[4::2], strict=True))
                    # Preset, size and seed say which picture an index is.
                    drawn[words[2]] = (options["--preset"], options["--size"], options["--seed"])
            train = job.words(job.trial.train)
            learned = [re.split(":2d|@", train[i + 1])[0] for i, word in enumerate(train) if word == "--data"]
            tested = [words[words.index("--root") + 1] for words in map(job.words, job.trial.evaluations.values())]
            assert learned
            assert tested
            assert not {drawn[d] for d in learned if d in drawn} & {drawn[d] for d in tested if d in drawn}


def test_rows_of_s1_with_and_without_a_constraint_differ_in_nothing_else():
    rows = {row.name: row for row in open_paper("s1").rows}
    for preset in ("tiny", "full"):
        without, with_all = (
            rows[name].trials[preset].train.split(" --set ") for name in ("3D_A + 2D_B", "3D_A + 2D_B + BMC")
        )
        changed = [pair for pair in zip(without, with_all, strict=True) if pair[0] != pair[1]]
        assert [pair[0] for pair in changed] == [f"stages.0.losses.{name}=0" for name in ("bones", "palm", "angles")]


def test_rows_of_the_generator_s_parts_differ_in_nothing_else():
    rows = {row.name: row for row in open_paper("pictures").rows}
    for preset in ("tiny", "full"):
        base = rows["everything"].trials[preset]
        left_out = set()
        for row in rows.values():
            trial = row.trials[preset]
            assert trial.evaluations == base.evaluations
            train = re.sub(r"(--data \S+ )+", "--data ... ", trial.train)
            fourier = " --set augment.mix_amplitude=0" if "Fourier" in row.name else ""
            assert train == re.sub(r"(--data \S+ )+", "--data ... ", base.train) + fourier
            drawn = dict(re.findall(r"synth (\S+) (.*)", "\n".join(trial.data)))
            crops = next(options for folder, options in drawn.items() if f"--data {folder}" in trial.train)
            found = re.search(r" --without (\S+)", crops)
            left_out |= {found[1]} if found else set()
            plain = re.sub(r" --without \S+", "", crops)
            assert ("--backgrounds $BACKGROUNDS" in plain) == (row.name != "without photographs as backgrounds")
            assert plain.startswith("--images")
        assert left_out == set(WITHOUT)


def test_the_page_in_the_repository_is_what_the_results_come_to():
    assert (ROOT / README).read_text() == render(), "type: python -m benchmarks --render"


def test_every_result_in_the_repository_is_of_a_row_as_it_is_now():
    jobs = {}
    for name in PAPERS:
        for row in open_paper(name).rows:
            jobs |= {(name, preset, row.slug): (name, preset, row) for preset in row.trials}
    for path in (ROOT / RESULTS).rglob("*.json"):
        slug, _, seed = path.stem.rpartition(".seed-")
        job = Job(*jobs[(*path.relative_to(ROOT / RESULTS).parts[:2], slug)], int(seed))
        assert read_result(job), f"{path} is of other commands; remove it or run it again"
