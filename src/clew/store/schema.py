"""The tables of the catalog, for SQLite and PostgreSQL alike.

What is stored here is what must be durable at once (chunks, before they are acknowledged),
what is looked up by a key, and what is listed. Events in bulk stand in segments.

Ids of processes are 16 hexadecimal digits, of runs (traces) 32: text, because neither
database has unsigned 64-bit numbers. Wall times are nanoseconds since 1970 in UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite gives numbers of its own only to a column that is INTEGER. Small tables with a key of
# text are kept in its index alone (``sqlite_with_rowid=False``): one tree each instead of two.
_Id = BigInteger().with_variant(Integer(), "sqlite")

processes = Table(
    "processes",
    metadata,
    Column("process_id", String(16), primary_key=True),
    Column("service", Text, nullable=False, default=""),
    Column("environment", Text, nullable=False, default=""),
    Column("source", String(8), nullable=False, default="clew"),  # clew, json, otlp: who sent it
    Column("head", Text, nullable=False, default="{}"),  # JSON of its PROCESS chunks, merged
    Column("end", Text),  # JSON of its END chunks, merged; null while it runs
    Column("wall_ns", BigInteger, nullable=False, default=0),
    Column("received_ns", BigInteger, nullable=False),  # when its last chunk came
    Column("events", BigInteger, nullable=False, default=0),
    Column("revision", BigInteger, nullable=False, default=0),  # of the last ingest into it, ascending over the store
    Column("indexed_revision", BigInteger, nullable=False, default=0),  # of what its runs were worked out from
    Column("retention", String(8), nullable=False, default="dev"),  # dev, ci, incident; purged: see retention
    Column("hold", SmallInteger, nullable=False, default=0),  # 1: under legal hold
    Column("deleted_ns", BigInteger),  # first step of a deletion; null while it is wanted
    Index(None, "received_ns"),
    Index(None, "revision"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("process_id", String(16), nullable=False),
    Column("type", SmallInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),  # 0 where it has no events
    Column("events", Integer, nullable=False),
    Column("crc", BigInteger, nullable=False),  # of the stored payload: the same chunk again is a duplicate
    Column("received_ns", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the chunk, header and all
    UniqueConstraint("process_id", "first_seq", "type", "crc"),
    sqlite_autoincrement=True,  # numbers of removed chunks are not given again: readers page by them
)

coverage = Table(
    # Which sequence numbers of a process are stored, as intervals that do not touch: the truth
    # that ingest is idempotent by. One row a process, unless events are missing in between.
    "coverage",
    metadata,
    Column("process_id", String(16), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("end_seq", BigInteger, nullable=False),  # one after the last
    sqlite_with_rowid=False,
)

names = Table(
    # Numbers given to what JSON events know by name; per process and kind of definition.
    "names",
    metadata,
    Column("process_id", String(16), primary_key=True),
    Column("kind", String(8), primary_key=True),  # entity, site, span
    Column("name", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    sqlite_with_rowid=False,
)

receipts = Table(
    # Requests that carry no sequence numbers (OTLP), by the SHA-256 of their body: an exporter
    # that repeats one is answered, and nothing is stored twice.
    "receipts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("received_ns", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),
    Index(None, "received_ns"),
    sqlite_with_rowid=False,
)

counters = Table(
    # ``revision``: the last one given out. Kept apart from the rows that carry it, because it
    # must not go back when the newest of them is removed.
    "counters",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("services", Text, nullable=False),  # JSON list
    Column("environment", Text, nullable=False, default=""),
    Column("process_id", String(16), nullable=False),  # of its root
    Column("entry", String(8), nullable=False),  # process, request, named
    Column("status", String(10), nullable=False),
    Column("mode", String(10), nullable=False, default="live"),  # of determinism
    Column("started_ns", BigInteger, nullable=False),
    Column("duration_ns", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("spans", BigInteger, nullable=False),
    Column("processes", Integer, nullable=False),
    Column("findings", Integer, nullable=False, default=0),
    Column("health", Text, nullable=False, default="[]"),  # JSON list of reasons it is incomplete
    Column("revision", BigInteger, nullable=False),
    Index(None, "started_ns", "run_id"),
    Index(None, "revision"),
)

run_parts = Table(
    # What one process knows of a run; the row in `runs` is made of all of them.
    "run_parts",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("process_id", String(16), primary_key=True),
    Column("document", Text, nullable=False),  # JSON of analysis.run_parts.RunPart
    Index(None, "process_id"),
)

findings = Table(
    "findings",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("process_id", String(16), nullable=False),
    Column("run_id", String(32), nullable=False, default=""),
    Column("kind", Text, nullable=False),
    Column("severity", String(8), nullable=False),
    Column("confidence", String(8), nullable=False),
    Column("title", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("document", Text, nullable=False),  # JSON of the finding
    Index(None, "process_id"),
    Index(None, "run_id"),
)

segments = Table(
    # Parquet files of one compaction, named by `key`: key/events.parquet, key/entities.parquet …
    "segments",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("events", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("files", Text, nullable=False),  # JSON: table name to size in bytes
    Column("created_ns", BigInteger, nullable=False),
)

segment_parts = Table(
    "segment_parts",
    metadata,
    Column("segment_id", _Id, ForeignKey("segments.id"), primary_key=True),
    Column("process_id", String(16), primary_key=True),
    Column("first_seq", BigInteger, nullable=False),
    Column("end_seq", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("start_ns", BigInteger, nullable=False),  # wall time of its first event in here
    Column("end_ns", BigInteger, nullable=False),
    Index(None, "process_id"),
    sqlite_with_rowid=False,
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("hash", String(64), primary_key=True),  # SHA-256 of the redacted bytes, hexadecimal
    Column("media_type", Text, nullable=False),
    Column("encoding", Text, nullable=False, default=""),
    Column("size", BigInteger, nullable=False),
    Column("redaction", Text, nullable=False, default="{}"),  # JSON report
    Column("created_ns", BigInteger, nullable=False),
    Column("deleted_ns", BigInteger),
)

artifact_refs = Table(
    "artifact_refs",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("process_id", String(16), primary_key=True),
    Index(None, "process_id"),
    sqlite_with_rowid=False,
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("snapshot_id", String(32), primary_key=True),
    Column("taken_ns", BigInteger, nullable=False),
    Column("completeness", String(12), nullable=False),  # complete, partial
    Column("processes", Integer, nullable=False),
    Column("entities", BigInteger, nullable=False),
    Column("edges", BigInteger, nullable=False),
    Column("unresolved", BigInteger, nullable=False),
    Index(None, "taken_ns"),
)

leases = Table(
    # Which worker does a job that only one may do at a time.
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", String(8), nullable=False),  # viewer, operator, admin
    Column("hash", String(64), nullable=False, unique=True),  # SHA-256 of the key, which is 256 random bits
    Column("created_ns", BigInteger, nullable=False),
    Column("revoked_ns", BigInteger),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False, default=""),
    Column("details", Text, nullable=False, default="{}"),
    Column("request_id", String(32), nullable=False, default=""),
)
