"""`python -m fuzz.past`: what becomes of the files of `cases`, as lines of JSON; with names as arguments, of those."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2

from fuzz.cases import CASES, Case
from fuzz.limits import Read, outcomes
from fuzz.targets import TARGETS


def _reads(names: list[str], folder: Path) -> Iterator[Read]:
    for number, name in enumerate(names):
        case = CASES[name]
        target = TARGETS[case.target]
        inside = folder / str(number)

        def prepare(inside: Path = inside, case: Case = case) -> None:
            TARGETS[case.target].prepare(inside).write_bytes(case.file())

        yield Read(prepare, lambda path=inside / target.file, read=target.read: read(path))


if __name__ == "__main__":
    cv2.setNumThreads(1)
    chosen = sys.argv[1:] or list(CASES)
    with tempfile.TemporaryDirectory() as temporary:
        for case_name, outcome in zip(chosen, outcomes(_reads(chosen, Path(temporary))), strict=True):
            print(json.dumps({"case": case_name, "fault": outcome.fault, **outcome._asdict()}), flush=True)
