"""Arrays that took long to make, kept beside their sources: memory-mapped, and whole or not there at all::

    ROOT/.gru_lite/NAME-<key>/meta.json      version, key, options, and the shape and dtype of every array
    ROOT/.gru_lite/NAME-<key>/images.npy     ... one file for each array

The key is a digest of what the arrays are made from: the options, and the name, size and time of change of
every source. Not of their bytes: reading those takes as long as decoding them, and a file that changes gets
another time.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import filelock
import numpy as np

from ..errors import InputError

VERSION = 1  # of this format and of what is decoded: raise it when the arrays would become others
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cached(
    root: str | Path,
    name: str,
    options: dict,
    sources: list[str],
    n: int,
    blocks: Callable[[], Iterator[dict]],
) -> dict[str, np.memmap]:
    """Return {array name: read-only np.memmap (n, ...)}, made when they are not there yet.

    Args:
        root: folder of the data set; the cache lies in its folder .gru_lite.
        name: of the data set. Caches of one name and other options stay; one of the same options and other
            sources, of another version, or damaged is made again, and a line on stderr says so.
        options: dict for JSON, what else the arrays depend on.
        sources: texts, one for each source (see `source`), in the order of the arrays.
        n: length of every array.
        blocks: function without arguments that yields {array name: (b, ...) part}, n rows in all.

    Raises:
        InputError: no room or no right to write; the half-made cache is then removed. What `blocks` raises,
            likewise.
    """
    digest = hashlib.sha256(json.dumps([VERSION, options], sort_keys=True).encode())
    for line in sources:
        digest.update(line.encode(errors="surrogateescape") + b"\n")
    key, parent = digest.hexdigest(), Path(root) / ".gru_lite"
    folder = parent / f"{name}-{key[:16]}"
    arrays = _open(folder, key)
    if arrays is not None:
        return arrays
    try:
        parent.mkdir(exist_ok=True)
        with _lock(parent / f".{name}.lock"):
            arrays = _open(folder, key)
            if arrays is None:
                _sweep(parent, name, key, options)
                _make(folder, {"version": VERSION, "key": key, "options": options}, n, blocks)
                arrays = _open(folder, key)
    except OSError as error:
        raise InputError(f"the cache {parent} cannot be written: {error}") from None
    return arrays


def is_kept(root: str | Path, name: str, options: dict) -> bool:
    """Whether there is a cache of this name and these options, current or not."""
    folders = [folder for folder in (Path(root) / ".gru_lite").glob("*/") if _is_of(name, folder)]
    return any((_meta(folder) or {"options": options})["options"] == options for folder in folders)


def source(path: str | Path, *words: object) -> str:
    """Return the text that stands for a file: the given words, its size and time of change."""
    status = os.stat(path)
    return repr((*map(str, words), status.st_size, status.st_mtime_ns))


def _open(folder, key):
    """The arrays of a cache, or None where it is not whole."""
    meta = _meta(folder)
    if meta is None or meta["key"] != key:
        return None
    try:  # np.load refuses a file that is shorter than it says
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in meta["arrays"]}
    except (OSError, ValueError, EOFError):
        return None
    found = {name: [list(array.shape), str(array.dtype)] for name, array in arrays.items()}
    return arrays if found == meta["arrays"] else None


@contextmanager
def _lock(file):
    """One process at a time: the lock falls with its process, however it ends; who waited finds the cache."""
    lock = filelock.FileLock(file)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        print(f"gru-lite: another process prepares {file.parent.parent}: waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _meta(folder):
    """What a cache says of itself; None when it is of another version or says nothing."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        return meta if meta["version"] == VERSION and {"key", "options", "arrays"} <= set(meta) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _is_of(name, folder):
    return re.fullmatch(rf"{re.escape(name)}-[0-9a-f]{{16}}", folder.name)


def _sweep(parent, name, key, options):
    """Remove what a killed process left, and caches that this one replaces."""
    for folder in sorted(parent.iterdir()):
        if _is_of(f".{name}", folder):
            shutil.rmtree(folder)
        elif _is_of(name, folder):
            meta = _meta(folder)
            if meta and meta["options"] != options:
                continue
            stale = meta and meta["key"] != key
            why = "stale: its sources have changed" if stale else "damaged or of another version"
            print(f"gru-lite: the cache {folder} is {why}; it is made again", file=sys.stderr)
            hidden = parent / f".{folder.name}"
            os.replace(folder, hidden)  # at once: a kill while files are deleted leaves no half of a cache
            shutil.rmtree(hidden)


def _make(folder, meta, n, blocks):
    """Write the arrays into a hidden folder, wait until the disk has them, and give it its name."""
    partial, needed, files = folder.with_name(f".{folder.name}"), 0, {}
    try:
        with ExitStack() as stack:
            for block in blocks():
                if not files:
                    needed = sum(n * array[:1].nbytes for array in block.values())
                    if needed > shutil.disk_usage(folder.parent).free:
                        raise OSError(errno.ENOSPC, "")
                    partial.mkdir()
                    meta["arrays"] = {}
                    for name, array in block.items():
                        shape = (n, *array.shape[1:])
                        meta["arrays"][name] = [shape, str(array.dtype)]
                        files[name] = stack.enter_context(open(partial / f"{name}.npy", "wb"))
                        header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
                        np.lib.format.write_array_header_1_0(files[name], header)
                # written, not mapped: a full disk is then an error, and not the end of the process
                for name, array in block.items():
                    files[name].write(np.ascontiguousarray(array).data)
            files["meta"] = stack.enter_context(open(partial / "meta.json", "wb"))
            files["meta"].write(json.dumps(meta, indent=1).encode())
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, folder)
    except OSError as error:
        if error.errno not in FULL:
            raise
        shutil.rmtree(partial, ignore_errors=True)
        free = shutil.disk_usage(folder.parent).free
        raise InputError(
            f"the disk of {folder.parent} is full: the cache needs {needed:,} bytes, {free:,} are free; "
            "make room, or choose a smaller image size"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
