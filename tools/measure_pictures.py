"""Processor time and memory of the generator, in one process.

    python tools/measure_pictures.py [--preset crop] [--images 20000] [--size 256] [--every 1000]

After every so many pictures a line: pictures a second of processor time, which other programs hardly disturb (the time
of the one process that renders, Mesa's rasteriser included), and the process's resident memory, which must not grow.
"""

import argparse
import os
import time
from pathlib import Path

import cv2

from knuckle.synth import PRESETS, Settings
from knuckle.synth.generate import Generator
from knuckle.synth.write import encode


def resident_megabytes() -> float:
    """Memory of this process that is in RAM, as Linux counts it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(settings: Settings, images: int, every: int) -> None:
    """Renders and encodes pictures 0, 1, ... and prints a line after every so many."""
    name = f"{settings.preset} {settings.size} px"
    generator = Generator(settings)
    try:
        generator.picture(images)  # the first takes longer: the driver compiles the shaders
        print(f"{name}: {0:6d} pictures, {resident_megabytes():7.1f} MB", flush=True)
        for first in range(0, images, every):
            last = min(first + every, images)
            began = time.process_time()
            for index in range(first, last):
                encode(generator.picture(index))
            rate = (last - first) / (time.process_time() - began)
            print(f"{name}: {last:6d} pictures, {resident_megabytes():7.1f} MB, {rate:5.1f}/s", flush=True)
    finally:
        generator.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="crop")
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1000)
    parser.add_argument("--backgrounds")
    parser.add_argument("--without", default="")
    options = parser.parse_args()
    cv2.setNumThreads(1)  # as the generator's workers do
    without = tuple(filter(None, options.without.split(",")))
    settings = Settings(options.preset, options.size, options.seed, options.backgrounds, without=without)
    measure(settings, options.images, options.every)


if __name__ == "__main__":
    main()
