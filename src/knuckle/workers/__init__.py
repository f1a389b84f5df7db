"""Work that is split into parts, done by processes of this machine or of many: `knuckle synth`, `predict` and `eval`.

A worker that dies costs its part and no more: the part is given to another one. Nothing here writes results; who calls
does, so a part that was begun leaves nothing behind.
"""

from knuckle.workers.kept import KeptParts, digest
from knuckle.workers.parts import MAX_WORKERS, OpenWork, Work, Workers, map_parts

__all__ = ["MAX_WORKERS", "KeptParts", "OpenWork", "Work", "Workers", "digest", "map_parts"]
