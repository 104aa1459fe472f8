"""Files of segments on this machine: where they stand, or copies of those in a bucket.

A segment never changes, so a copy is good for ever; the least used ones go when there are
too many bytes of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clew.store.segments import path_of

if TYPE_CHECKING:
    from clew.store.store import Store

MAX_BYTES = 4 << 30
_KEPT_S = 600
"""A copy that was used so lately may be open."""
_lock = threading.Lock()


def local_file(store: Store, key: str, table: str) -> Path:
    """Return a file of this machine that holds a table of a segment.

    Args:
        store: Whose.
        key: Of the segment.
        table: Its name, one that the segment has.

    Raises:
        StoreError: The segment's file is missing (``blob-missing``).
        StoreUnavailableError: The bucket does not answer.
    """
    blob = path_of(key, table)
    path = store.blobs.path(blob)
    if path is not None:
        return path
    folder = cache_folder(store.blobs.shown)
    copy = folder / f"{key}.{table}.parquet"
    try:
        os.utime(copy)
    except FileNotFoundError:
        _fetch(store, blob, copy)
    return copy


def cache_folder(shown: str) -> Path:
    """Return where copies of the blobs at an address are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "clew" / "segments" / hashlib.sha256(shown.encode()).hexdigest()[:16]


def _fetch(store: Store, blob: str, copy: Path) -> None:
    data = store.blobs.get(blob)
    copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make_room(copy.parent, len(data))
    handle, partial = tempfile.mkstemp(dir=copy.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(partial).rename(copy)  # whole or not at all: several processes share the folder
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _make_room(folder: Path, size: int) -> None:
    with _lock:
        found: list[tuple[float, int, Path]] = []
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process made room too
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = size + sum(size for _, size, _ in found)
        newest = max((used for used, _, _ in found), default=0.0)
        for used, bytes_, path in sorted(found):
            if total <= MAX_BYTES or used > newest - _KEPT_S:
                return
            path.unlink(missing_ok=True)
            total -= bytes_
