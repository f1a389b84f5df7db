"""The formats of `knuckle predict --save`. Another one is a file here, and a line in FORMATS."""

from collections.abc import Mapping

from knuckle.predict.formats.arrays import ARRAYS
from knuckle.predict.formats.bvh import BVH
from knuckle.predict.formats.coco import COCO
from knuckle.predict.formats.glb import GLB
from knuckle.predict.formats.lines import LINES
from knuckle.predict.formats.mano import MANO
from knuckle.predict.formats.mask import MASK
from knuckle.predict.formats.overlay import OVERLAY
from knuckle.predict.formats.rrd import RRD
from knuckle.predict.formats.table import TABLE
from knuckle.predict.output import Format

FORMATS: Mapping[str, Format] = {
    "json": LINES,
    "jsonl": LINES,
    "overlay": OVERLAY,
    "glb": GLB,
    "bvh": BVH,
    "npz": ARRAYS,
    "csv": TABLE,
    "coco": COCO,
    "mask": MASK,
    "rrd": RRD,
    "mano": MANO,
}
