"""Artifacts: large values that events refer to by the SHA-256 of their redacted bytes.

The bytes are written before the row that names them, so a row never names what is not there.
Bytes that no row names are removed by ``retention`` when they are a day old.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from clew.store import schema
from clew.store.batch import storable
from clew.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from clew.store.store import Store

FOLDER = "artifacts"
MAX_SIZE = 64 << 20
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PROCESS = re.compile(r"[0-9a-f]{16}", re.ASCII)
_MEDIA_TYPE = re.compile(r"[a-z0-9.+*-]{1,60}/[a-z0-9.+*-]{1,60}(\s*;[ -~]{0,100})?", re.ASCII | re.IGNORECASE)


class ArtifactRow(NamedTuple):
    """What is known of an artifact."""

    hash: str
    media_type: str
    encoding: str
    size: int
    redaction: str
    """JSON: what was taken out of it."""
    created_ns: int


def put(
    store: Store,
    data: bytes,
    *,
    expected_hash: str,
    media_type: str,
    encoding: str = "",
    process_id: str | None = None,
    redaction: Mapping[str, Any] | None = None,
) -> ArtifactRow:
    """Keep an artifact; one that is kept already gets another reference.

    Args:
        store: Where.
        data: Its redacted bytes.
        expected_hash: The SHA-256 that the sender found, 64 hexadecimal digits.
        media_type: What the bytes are, as in HTTP.
        encoding: How text is encoded, or bytes are compressed.
        process_id: Who refers to it. One that nobody refers to is removed after a day.
        redaction: What was taken out.

    Raises:
        StoreError: The hash is not that of the bytes, or they are too many, or the type is none.
    """
    _check(data, expected_hash, media_type, process_id)
    known = find(store, expected_hash)
    key = key_of(expected_hash)
    if known is None:
        # Written over what may stand there: left-over bytes are removed by their age.
        store.blobs.put(key, data)
    with store.write() as connection:
        row = ArtifactRow(
            expected_hash,
            media_type,
            storable(encoding),
            len(data),
            json.dumps(dict(redaction or {}), sort_keys=True),
            time.time_ns(),
        )
        _insert_once(connection, schema.artifacts, row._asdict())
        table = schema.artifacts
        connection.execute(update(table).where(table.c.hash == expected_hash).values(deleted_ns=None))
        if process_id is not None and not _is_deleted(connection, process_id):
            _insert_once(connection, schema.artifact_refs, {"hash": expected_hash, "process_id": process_id})
    # They were removed meanwhile, if at all: from now on the row protects them.
    if not store.blobs.exists(key):
        store.blobs.put(key, data)
    return known or row


def find(store: Store, hash_: str) -> ArtifactRow | None:
    """Return what is known of an artifact, unless there is none, or only deleted processes refer to it."""
    if not _HASH.fullmatch(hash_):
        return None
    table, refs, processes = schema.artifacts, schema.artifact_refs, schema.processes
    referred = exists().where(refs.c.hash == table.c.hash)
    deleted = (
        exists().where(processes.c.process_id == refs.c.process_id, processes.c.deleted_ns.is_not(None)).correlate(refs)
    )
    wanted = exists().where(refs.c.hash == table.c.hash, ~deleted)
    columns = [table.c[name] for name in ArtifactRow._fields]
    with store.engine.connect() as connection:
        row = connection.execute(
            select(*columns).where(table.c.hash == hash_, table.c.deleted_ns.is_(None), wanted | ~referred)
        ).one_or_none()
    return None if row is None else ArtifactRow(*row)


def read(store: Store, hash_: str, start: int = 0, length: int | None = None) -> bytes:
    """Return bytes of an artifact.

    Args:
        store: Where.
        hash_: 64 hexadecimal digits.
        start: From which byte.
        length: How many; None: to the end.

    Raises:
        StoreError: There is no such artifact (``artifact-missing``).
    """
    row = find(store, hash_)
    if row is None:
        raise StoreError(
            "artifact-missing",
            f"no artifact has the hash {hash_[:70]!r}",
            "expected the SHA-256 of one, in 64 hexadecimal digits",
            "it may have been deleted, or not have been sent",
        )
    if start == 0 and length is None:
        return store.blobs.get(key_of(hash_))
    return store.blobs.get_range(key_of(hash_), start, row.size - start if length is None else length)


def of_process(store: Store, process_id: str) -> list[str]:
    """List the hashes of what a process refers to, sorted."""
    refs = schema.artifact_refs
    with store.engine.connect() as connection:
        return sorted(connection.execute(select(refs.c.hash).where(refs.c.process_id == process_id)).scalars())


def key_of(hash_: str) -> str:
    """Return the key of the blob; 256 folders, because some tools are slow in a folder of a million files."""
    return f"{FOLDER}/{hash_[:2]}/{hash_}"


def _check(data: bytes, expected_hash: str, media_type: str, process_id: str | None) -> None:
    if len(data) > MAX_SIZE:
        raise StoreError(
            "artifact-size",
            f"the artifact has {len(data):,} bytes",
            f"expected at most {MAX_SIZE:,}",
            "send less of it",
        )
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise StoreError(
            "artifact-type", f"the type is {media_type[:60]!r}", "expected a media type", "use application/octet-stream"
        )
    if process_id is not None and not _PROCESS.fullmatch(process_id):
        raise StoreError(
            "artifact-process", f"the process is {process_id[:40]!r}", "expected 16 hexadecimal digits", "send its id"
        )
    found = hashlib.sha256(data).hexdigest()
    if found != expected_hash:
        raise StoreError(
            "artifact-hash",
            f"the bytes have the SHA-256 {found}",
            f"expected {expected_hash[:70]!r}",
            "send it again; the hash is that of the redacted bytes, in lower-case hexadecimal digits",
        )


def _is_deleted(connection: Connection, process_id: str) -> bool:
    table = schema.processes
    return (
        connection.execute(
            select(table.c.process_id).where(table.c.process_id == process_id, table.c.deleted_ns.is_not(None))
        ).first()
        is not None
    )


def _insert_once(connection: Connection, table: Any, row: dict[str, Any]) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), row)
