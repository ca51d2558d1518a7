"""Small functions that other code of the reference takes from its transformer package. Nothing here is used by ours."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any

from seamless.buffer import Buffer
from seamless.checksum import Checksum
from seamless.transformer.deliver import DEEP_CELLTYPES, map_leaves, pack_leaves
from seamless.transformer.identity import orthogonal, transformation_buffer

# For steps that change what their process has only one of. Other processes, worker processes too, have their own.
global_lock = threading.RLock()


def tf_get_buffer(transformation: Mapping[str, Any]) -> Buffer:
    """Return the identity buffer of a transformation dict; its checksum is that of the transformation."""
    return Buffer(transformation_buffer(transformation))


def extract_tf_dunder(transformation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `__keys__` of a transformation dict that do not bear load."""
    return {key: value for key, value in orthogonal(transformation).items() if key.startswith("__")}


def is_deep_celltype(celltype: str | None) -> bool:
    """Tell whether buffers of a celltype hold checksums of other buffers: deepcell, deepfolder, folder."""
    return celltype in DEEP_CELLTYPES


def pack_deep_structure(structure: Any, celltype: str) -> Any:
    """Return nested dicts and lists with the checksum (hexadecimal) of each leaf; its buffer is kept for a while.

    A leaf of a `deepcell` is stored as `mixed`, one of a folder as `bytes`. Raises TypeError. Under any other celltype
    the structure is returned as it is.
    """
    if not is_deep_celltype(celltype):
        return structure

    def add(content: bytes) -> Checksum:
        buffer = Buffer(content)
        buffer.tempref()
        return buffer.get_checksum()

    return pack_leaves(structure, celltype, add)


def unpack_deep_structure(structure: Any, celltype: str) -> Any:
    """Return nested dicts and lists of checksums with the values of a `deepcell`, or the bytes of a folder's files.

    Raises CacheMissError, ValueError. Under any other celltype the structure is returned as it is.
    """
    if not is_deep_celltype(celltype):
        return structure
    leaves = "mixed" if celltype == "deepcell" else "bytes"
    return map_leaves(structure, lambda leaf: Checksum(leaf).resolve(leaves))


def is_spawned() -> bool:
    """Tell whether this process was started by `multiprocessing`."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and (process.parent_process() is not None or in_spawned_main_toplevel())


def in_spawned_main_toplevel() -> bool:
    """Tell whether this process was started by `multiprocessing` and is still importing the main module of its parent.

    What creates processes must not do so then: it has no `if __name__ == "__main__"` around it.
    """
    process = sys.modules.get("multiprocessing.process")
    # Until that is done, the process does not know its parent; `multiprocessing` itself looks at this attribute.
    return process is not None and getattr(process.current_process(), "_inheriting", False)
