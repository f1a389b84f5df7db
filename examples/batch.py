"""Turn a folder of pictures into a table, several pictures at a time.

    python examples/batch.py FOLDER [OUT.csv]

A row for each hand: side, score, joints in metres and pixels, angles. Takes `pip install 'knuckle[table]'`.
"""

import sys
from pathlib import Path

import pandas as pd

import knuckle
from knuckle.predict.sources import PICTURES

AT_A_TIME = 64


def main(folder: str, out: str = "hands.csv") -> None:
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in PICTURES)
    tables = []
    for begin in range(0, len(paths), AT_A_TIME):
        part = paths[begin : begin + AT_A_TIME]
        # Of a list as many pictures are worked on at a time as the processor has cores.
        for path, hands in zip(part, knuckle.predict(part), strict=True):
            tables.append(hands.to_frame().assign(picture=str(path)))
    if not tables:
        sys.exit(f"{folder} must hold pictures but holds none")
    table = pd.concat(tables)
    table.to_csv(out, index=False)
    print(f"wrote {out}: {len(table)} hands in {len(paths)} pictures")


if __name__ == "__main__":
    main(*sys.argv[1:])
