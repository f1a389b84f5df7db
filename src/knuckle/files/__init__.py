"""Safe reading of untrusted files, and atomic writing.

Every reader of the package begins here: only regular files are opened, no more is read than a limit, and what a file
becomes in memory is bounded before it is allocated. What cannot be used is an `InputError`: one line that says why.
"""

from knuckle.files.archives import open_archive, read_member
from knuckle.files.arrays import load_npy, load_npz, map_npy
from knuckle.files.folders import Folder, is_url, open_folder
from knuckle.files.jsontext import load_json, number_array, parse_json
from knuckle.files.meshes import MESH_SUFFIXES, load_mesh
from knuckle.files.pickles import load_pickle
from knuckle.files.reading import MAX_BYTES, InputError, RefusedFile, open_regular, read_bytes, read_text, regular_file
from knuckle.files.writing import atomic_write, remove_leftovers, sync

__all__ = [
    "MAX_BYTES",
    "MESH_SUFFIXES",
    "Folder",
    "InputError",
    "RefusedFile",
    "atomic_write",
    "is_url",
    "load_json",
    "load_mesh",
    "load_npy",
    "load_npz",
    "load_pickle",
    "map_npy",
    "number_array",
    "open_archive",
    "open_folder",
    "open_regular",
    "parse_json",
    "read_bytes",
    "read_member",
    "read_text",
    "regular_file",
    "remove_leftovers",
    "sync",
]
