"""Recordings in a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.support.recordings import Process, write

from clew.server.indexer import index_changed
from clew.store import schema
from clew.store.ingest import check_chunks
from clew.store.store import Store
from clew.store.writer import IngestRequest


def put(store: Store, recording: Path, *, is_indexed: bool = True) -> None:
    """Send the streams of a recording to a store."""
    for path in sorted(recording.glob("*.stream")):
        store.writer.submit(IngestRequest(check_chunks(path.read_bytes()))).result(60)
    if is_indexed:
        index_changed(store)


def put_processes(store: Store, folder: Path, *processes: Process, is_indexed: bool = True) -> None:
    """Send processes made by hand to a store."""
    path = folder / f"made-{len(list(folder.iterdir()))}.clew"
    put(store, write(path, *processes), is_indexed=is_indexed)


def rows_of(store: Store, table: sa.Table, *where: Any) -> list[Any]:
    """The rows of a table of the catalog, sorted."""
    with store.engine.connect() as connection:
        return sorted(connection.execute(sa.select(table).where(*where)).all(), key=str)


def runs_in(store: Store) -> dict[str, Any]:
    """The rows of the runs, by name."""
    return {row.name: row for row in rows_of(store, schema.runs)}
