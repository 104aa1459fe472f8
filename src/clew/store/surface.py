"""SQL over the whole store: read-only, over named tables, without files or network.

DuckDB reads the segments where they stand, the chunks beside them as Arrow, and the catalog's
own rows as tables. It may open the files of the segments and nothing else; a user's statement
may not name even those, and sees the views alone.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownParameterType=false
# pyarrow carries no types.

from __future__ import annotations

import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from clew.format.stream_data import StreamData
from clew.store import sql
from clew.store import surface_tables as texts
from clew.store.local_files import local_file
from clew.store.stored import read_stored
from clew.store.stream_tables import SCHEMAS, concatenated, signed, tables_of_stream
from clew.store.surface_catalog import (
    CATALOG_TABLES,
    catalog_table,
    hidden_segments,
    numbers_table,
    processes_of_run,
    processes_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Sequence
    from concurrent.futures import Future

    from clew.store.sql import Answer
    from clew.store.store import Store
    from clew.store.stored import Part, Stored
    from clew.store.stream_tables import Tables

    TablesOf = Callable[[Store, Stored], Tables]

TABLES = (
    "processes", "runs", "spans", "events", "entities", "scopes", "sites", "edges", "snapshots", "findings",
)  # fmt: skip
LIMIT = 10_000
TIMEOUT_S = 30.0
MEMORY_LIMIT = "1GB"
_EVENT_COLUMNS = (
    "process, seq, t_ns, back, wait_ns, arg, entity, scope, site, span, kind, op, outcome, attrs, cause_process, "
    "remote_cause, long_ns, case when span > 0 then span else step_span end as in_span"
)
_DERIVED_TABLES = ("processes", "spans", "events", "entities", "scopes", "sites", "edges")
_TEXTS = {
    "all_events": texts.ALL_EVENTS_SQL,
    "with_late": texts.WITH_LATE_SQL,
    "with_late_all": texts.WITH_LATE_ALL_SQL,
    "late": texts.LATE_SQL,
}
_INTERNAL = re.compile(r"\binternal\.(\w+)")
_MAX_BRANCHES = 16
"""Processes of a run for each of which the files are read by themselves, between its own numbers."""


def query(
    store: Store,
    statement: str,
    *,
    run: str | None = None,
    limit: int = LIMIT,
    timeout_s: float = TIMEOUT_S,
    memory_limit: str = MEMORY_LIMIT,
    tables_of: TablesOf | None = None,
) -> Answer:
    """Answer one statement of a user's over the tables of the store.

    Args:
        store: Where.
        statement: One statement that reads.
        run: Id of a run: the tables hold what belongs to it alone, and of its processes.
        limit: Most rows that are returned.
        timeout_s: It is stopped after so many seconds.
        memory_limit: As DuckDB writes it, e.g. ``1GB``.
        tables_of: Makes the tables of what is in no segment yet; by default without what
            follows from it, see ``clew.convert.stored_sql``.

    Raises:
        SqlError: The statement does not parse, does not read, looks elsewhere, fails, or takes too long.
    """
    used = sql.check_confined(statement, TABLES)

    def answer() -> Answer:
        with open_surface(store, run=run, used=used, memory_limit=memory_limit, tables_of=tables_of) as surface:
            return surface.query(statement, limit=limit, timeout_s=timeout_s)

    try:
        return answer()
    except duckdb.Error:
        pass  # while the tables were made
    except sql.SqlError as error:
        if "IO Error" not in error.found:
            raise
    # Segments were merged since their names were read, and the old files are gone.
    try:
        return answer()
    except duckdb.Error as error:
        raise sql.failed(error, TABLES) from None


class Surface(NamedTuple):
    """Tables that are ready to be asked.

    Attributes:
        connection: To DuckDB; its configuration is locked.
    """

    connection: duckdb.DuckDBPyConnection

    def query(
        self, statement: str, parameters: Sequence[Any] = (), *, limit: int | None = None, timeout_s: float = TIMEOUT_S
    ) -> Answer:
        """Run a statement that was checked, or that is clew's own.

        Args:
            statement: One statement that reads.
            parameters: Values of its ``?``.
            limit: Most rows that are returned; None for all.
            timeout_s: It is stopped after so many seconds.

        Raises:
            SqlError: It fails, or takes too long.
        """
        return sql.run(self.connection, statement, parameters, limit=limit, timeout_s=timeout_s, tables=TABLES)


@contextmanager
def open_surface(
    store: Store,
    *,
    processes: Iterable[str] | None = None,
    run: str | None = None,
    used: Collection[str] | None = None,
    memory_limit: str = MEMORY_LIMIT,
    tables_of: TablesOf | None = None,
) -> Generator[Surface]:
    """Open the tables of the store for statements of clew's own.

    Args:
        store: Where.
        processes: Only what these recorded; None for all.
        run: Only what belongs to this run, and definitions of its processes.
        used: Names of the tables and columns that will be used, with ``*`` for all columns; None
            for everything. What is not among them is not made.
        memory_limit: As DuckDB writes it, e.g. ``1GB``.
        tables_of: Makes the tables of what is in no segment yet.
    """
    wanted = None if used is None else {name.lower() for name in used}
    if run is not None:
        found = processes_of_run(store, run)
        processes = found if processes is None else sorted(set(found) & set(processes))
    connection = _CONNECTIONS.take()
    try:
        connection.execute(f"set memory_limit = {_quoted(memory_limit)}")
        _Builder(store, connection, wanted, run, tables_of or _underived).build(processes)
        yield Surface(connection)
    finally:
        _CONNECTIONS.give_back(connection)


class _Connections:
    """Opens each connection before it is asked for, and closes it afterwards: that takes 15 ms.

    None is used twice, because its configuration is locked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._next: Future[duckdb.DuckDBPyConnection] | None = None
        self._owner = 0

    def take(self) -> duckdb.DuckDBPyConnection:
        """Return a connection that is not configured yet."""
        with self._lock:
            if self._executor is None or self._owner != os.getpid():  # the thread does not survive a fork
                self._executor, self._next = ThreadPoolExecutor(1, "clew-sql"), None
                self._owner = os.getpid()
            ready, self._next = self._next, self._executor.submit(_connect)
        return _connect() if ready is None else ready.result()

    def give_back(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Close a connection, some time soon."""
        with self._lock:
            executor = self._executor
        if executor is None or self._owner != os.getpid():
            connection.close()
            return
        try:
            executor.submit(connection.close)
        except RuntimeError:  # the interpreter ends
            connection.close()


def _connect() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"temp_directory": "", "python_enable_replacements": "false"})


_CONNECTIONS = _Connections()


def _underived(store: Store, stored: Stored) -> Tables:
    _ = store
    return tables_of_stream(stored.number, StreamData(stored.decoded_chunks()))


class _Builder:
    """Makes the tables of one connection."""

    def __init__(
        self,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        used: set[str] | None,
        run: str | None,
        tables_of: TablesOf,
    ) -> None:
        self._store = store
        self._connection = connection
        self._used = used
        self._run = run
        self._tables_of = tables_of
        self._stored: list[Stored] = []
        self._pending: Tables = {}
        self._files: dict[str, list[str]] = {}
        self._only = ""
        self._made = {"bounds", "sought_spans"}

    def build(self, processes: Iterable[str] | None) -> None:
        """Make everything that is used, and lock the door."""
        execute = self._connection.execute
        execute("create schema internal")
        # Each view reads the footers of its files when it is made, and again when it is used.
        execute("set parquet_metadata_cache = true")
        for name in CATALOG_TABLES:
            if self._wants(name):
                self._keep(f"main.{name}", catalog_table(self._store, name, self._run))
        if self._wants(*_DERIVED_TABLES):
            self._stored = read_stored(self._store, processes)
            pending = [self._tables_of(self._store, stored) for stored in self._stored if stored.chunks]
            self._pending = concatenated(pending) if pending else {}
            # A segment may hold processes that are deleted, or that were not asked for.
            if hidden_segments(self._store, self._stored):
                self._only = "where process in (select number from internal.processes)"
            self._open_files()
            self._tables()
        else:
            execute("set enable_external_access = false")
        execute("set lock_configuration = true")

    def _wants(self, *tables: str) -> bool:
        return self._used is None or not self._used.isdisjoint(tables)

    def _keep(self, name: str, table: Any) -> None:
        """Make a table of an Arrow table; views of those would be listed."""
        self._connection.register("arriving", table)
        self._connection.execute(f"create table {name} as select * from arriving")
        self._connection.unregister("arriving")

    def _open_files(self) -> None:
        parts = {part.key: part for stored in self._stored for part in stored.parts}
        for name in SCHEMAS:
            paths = [local_file(self._store, part.key, name) for part in parts.values() if name in part.files]
            self._files[name] = [str(path) for path in paths]
        paths = [path for some in self._files.values() for path in some]
        self._connection.execute(f"set allowed_paths = [{', '.join(map(_quoted, paths))}]")
        self._connection.execute("set enable_external_access = false")

    def _tables(self) -> None:
        wanted = None if self._used is None or "*" in self._used else self._used
        has_late = bool(self._files["late"] or self._has_pending("late"))
        made = {
            "events": texts.events_sql(wanted, has_late=has_late),
            "entities": texts.ENTITIES_SQL,
            "scopes": texts.SCOPES_SQL,
            "sites": texts.SITES_SQL,
            "edges": texts.EDGES_SQL,
            "spans": texts.SPANS_SQL,
            "processes": texts.PROCESSES_SQL,
        }
        for name, text in made.items():
            if self._wants(name):
                self._view(f"main.{name}", text)

    def _view(self, name: str, text: str) -> None:
        """Make a view, after what it is made of."""
        for needed in _INTERNAL.findall(text):
            if needed not in self._made:
                self._made.add(needed)
                self._make(needed)
        self._connection.execute(f"create view {name} as {text}")

    def _make(self, name: str) -> None:
        """Make what other views are made of: each takes a millisecond, so only what is needed."""
        if name in _TEXTS:
            self._view(f"internal.{name}", _TEXTS[name])
        elif name == "processes":
            self._keep("internal.processes", processes_table(self._store, self._stored))
        elif name == "numbers":
            self._keep("internal.numbers", numbers_table())
        elif name.startswith("pending_"):
            table = name.removeprefix("pending_")
            self._keep(f"internal.{name}", self._pending[table] if self._pending else SCHEMAS[table].empty_table())
        elif name in texts.DEFINITIONS:
            text = self._definitions(name, texts.DEFINITIONS[name])
            if name == "spans" and self._run is not None:
                # They are few, and are looked at again and again.
                self._view("internal.sought_spans", text)
                self._connection.execute("create table internal.spans as from internal.sought_spans")
            else:
                self._view(f"internal.{name}", text)
        elif name == "raw_events":
            self._view("internal.raw_events", self._union("events", _EVENT_COLUMNS))
        elif name == "raw_late":
            self._view("internal.raw_late", self._late())
        elif name == "places":
            columns = "process, id, first_seq, last_seq, events"
            self._view("internal.places", f"select * from ({self._union('spans', columns)}) where events is not null")
        elif name == "events":
            self._view("internal.events", "select * from internal.raw_events" if self._run is None else self._of_run())

    def _has_pending(self, table: str) -> bool:
        return bool(self._pending) and len(self._pending[table]) > 0

    def _union(self, name: str, columns: str, only: str | None = None, files: Sequence[str] | None = None) -> str:
        """Return the query of a table of the segments, and of what is in none yet."""
        only = self._only if only is None else only
        paths = self._files[name] if files is None else files
        found = [f"select {columns} from read_parquet([{', '.join(map(_quoted, paths))}]) {only}"] if paths else []
        if not found or self._has_pending(name):
            found.append(f"select {columns} from internal.pending_{name} {only}")
        return " union all ".join(found)

    def _definitions(self, name: str, columns: str) -> str:
        """Return the query of definitions: of each number the last one."""
        more = {"spans": f", {texts.run_id('d')} as run", "entities": f", {texts.SHOWN}"}.get(name, "")
        defined = self._of_run_alone() if name == "spans" else "true"
        several = [s.number for s in self._stored if len(s.parts) + bool(s.chunks) > 1]
        everything = self._union(name, f"process, {columns}")
        if not several:
            return f"select d.*{more} from ({everything}) d where {defined}"
        # Only what has several sources may define a number twice. The order of the sources is
        # that of the events, and what is pending comes last.
        numbers = ", ".join(str(signed(number)) for number in several)
        ordered = [
            f"select process, {columns}, {position} as source from read_parquet({_quoted(path)})"
            for position, path in enumerate(self._in_order(name))
        ]
        ordered.append(f"select process, {columns}, {len(ordered)} from internal.pending_{name}")
        return (
            f"select d.*{more} from (select process, {columns} from ({everything}) where {defined} "
            f"and process not in ({numbers}) union all select process, {columns} from ({' union all '.join(ordered)}) "
            f"where {defined} and process in ({numbers}) "
            f"qualify row_number() over (partition by process, id order by source desc) = 1) d"
        )

    def _of_run_alone(self) -> str:
        """Return the condition for spans: those that are defined, and of the run."""
        if self._run is None:
            return "name is not null"
        trace = int(self._run, 16)
        high, low = signed(trace >> 64), signed(trace & (1 << 64) - 1)
        return f"trace_high = {high} and trace_low = {low} and name is not null"

    def _in_order(self, name: str) -> list[str]:
        """Return the files of a table, those of earlier events of a process first."""
        parts = sorted(
            {(part.first_seq, part.segment, part.key) for s in self._stored for part in s.parts if name in part.files}
        )
        return [str(local_file(self._store, key, name)) for key in dict.fromkeys(key for *_, key in parts)]

    def _late(self) -> str:
        columns = "process, seq, attrs, cause_process, remote_cause, long_ns"
        ordered = [
            f"select {columns}, {position} as part from read_parquet({_quoted(path)}) {self._only}"
            for position, path in enumerate(self._in_order("late"))
        ]
        ordered.append(f"select {columns}, {len(ordered)} as part from internal.pending_late {self._only}")
        return " union all ".join(ordered)

    def _of_run(self) -> str:
        """Return the query of the events of the run, which reads as little as it can."""
        self._view(
            "internal.bounds",
            "select process, min(first_seq), max(last_seq) from internal.places "
            "where (process, id) in (select (process, id) from internal.spans) group by process order by process",
        )
        bounds = self._connection.execute("from internal.bounds").fetchall()
        inside = "(process, in_span) in (select (process, id) from internal.spans)"
        if not bounds:
            return "select * from internal.raw_events where false"
        if len(bounds) > _MAX_BRANCHES:
            return f"select * from internal.raw_events where {inside}"
        of_process = {signed(stored.number): stored.parts for stored in self._stored}
        branches = [
            self._union("events", _EVENT_COLUMNS, f"where process = {process} and seq between {first} and {last}",
                        self._files_between(of_process[process], first, last))
            for process, first, last in bounds
        ]  # fmt: skip
        return f"select * from ({' union all '.join(branches)}) where {inside}"

    def _files_between(self, parts: Sequence[Part], first: int, last: int) -> list[str]:
        return [
            str(local_file(self._store, part.key, "events"))
            for part in parts
            if part.events and part.first_seq <= last and part.end_seq > first
        ]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
