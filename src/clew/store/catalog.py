"""Open the database of the catalog: SQLite or PostgreSQL, brought to the schema of this clew."""

from __future__ import annotations

import difflib
import fcntl
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from clew.store import schema
from clew.store.errors import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator

HEAD = "0001"
"""The newest migration; a database that stands there is opened without Alembic."""
VERSION_TABLE = "clew_version"
SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
DEFAULT_NAME = "catalog.db"
BUSY_TIMEOUT_S = 30
WRITING = "clew_writing"
"""Option of a connection whose transactions take the store's write lock when they begin."""
_LOCK = 0x636C6577  # "clew": the key of PostgreSQL's advisory lock
_KNOWN = ("sqlite", "postgresql")

# Pages of 1 KiB: the catalog has over 40 tables and indexes, most of them nearly empty, so pages
# of 4 KiB would make an empty store 176 kB, half of what a small recording may cost. Chunks
# go in at 125 to 160 MB/s instead of 170, ten times what ingest needs.
_SQLITE_SETUP = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}",
    "PRAGMA page_size=1024",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA wal_autocheckpoint=4096",
    "PRAGMA journal_size_limit=1048576",
)


class CatalogUrl(NamedTuple):
    """A parsed address of a catalog.

    Attributes:
        url: As SQLAlchemy takes it.
        path: The file, of SQLite; else None.
        shown: To be shown to people: without a password.
    """

    url: URL
    path: Path | None
    shown: str


def parse_url(text: str) -> CatalogUrl:
    """Parse the address of a catalog.

    Args:
        text: ``sqlite:///PATH``, ``postgresql://…``, or a path: a file that ends in ``.db``,
            ``.sqlite`` or ``.sqlite3``, or else a folder, whose ``catalog.db`` it is.

    Raises:
        StoreError: It is none of them.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        path = Path(text).expanduser()
        if path.suffix not in SQLITE_SUFFIXES and not path.is_file():
            path /= DEFAULT_NAME
        return _sqlite(path)
    name = scheme.partition("+")[0]
    if name == "sqlite":
        if not rest.strip("/") or ":memory:" in rest:
            raise _bad_url(text, "it names no file", "sqlite:///relative/path or sqlite:////absolute/path")
        if not rest.startswith("/"):
            raise _bad_url(text, "two slashes stand before the path", f"sqlite:///{rest}")
        return _sqlite(Path(rest[1:]).expanduser())
    if name == "postgresql":
        try:
            url = make_url("postgresql+psycopg://" + rest)
        except (ArgumentError, ValueError) as error:
            shown = re.sub(r"//[^/]*@", "//…@", text)
            raise _bad_url(shown, str(error), "postgresql://user:password@host:5432/database") from None
        shown = url.set(drivername="postgresql").render_as_string(hide_password=True)
        return CatalogUrl(url, None, shown)
    close = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.5)
    advice = f"did you mean '{close[0]}://…'?" if close else "name a folder, or a URL of one of them"
    raise StoreError(
        "store-scheme",
        f"the store {re.sub(r'//[^/]*@', '//…@', text)!r} has the scheme {scheme!r}",
        f"expected one of {', '.join(_KNOWN)}, or a path",
        advice,
    )


def _sqlite(path: Path) -> CatalogUrl:
    path = path.absolute()
    return CatalogUrl(URL.create("sqlite", database=str(path)), path, str(path))


def _bad_url(text: str, found: str, expected: str) -> StoreError:
    return StoreError(
        "store-url", f"the store {text!r} cannot be used: {found}", f"expected {expected}", "correct the address"
    )


def open_engine(catalog: CatalogUrl) -> Engine:
    """Connect to the catalog and bring it to the schema of this clew.

    Raises:
        StoreError: It is another program's database, of a newer clew, or not a database.
        StoreUnavailableError: It cannot be reached.
    """
    engine = _sqlite_engine(catalog) if catalog.path else _postgresql_engine(catalog)
    try:
        with (
            _one_at_a_time(catalog),
            engine.connect().execution_options(**{WRITING: True}) as connection,
            connection.begin(),
        ):
            _bring_up_to_date(connection, catalog)
    except DBAPIError as error:
        engine.dispose()
        if "not a database" in str(error.orig):
            raise StoreError(
                "store-foreign",
                f"{catalog.shown} is not a database",
                "expected a store of clew's, or nothing",
                "choose another place",
            ) from None
        raise unavailable(catalog.shown, error) from None
    except BaseException:
        engine.dispose()
        raise
    return engine


def _sqlite_engine(catalog: CatalogUrl) -> Engine:
    assert catalog.path is not None
    try:
        catalog.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(catalog.path.parent, error) from None
    engine = create_engine(
        catalog.url,
        # One for each thread that answers requests, and some.
        pool_size=8,
        max_overflow=56,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, record: object) -> None:
        # Transactions are begun by `begin` below: the driver's own begin too late for a read
        # and what follows it to see one state.
        connection.isolation_level = None
        for statement in _SQLITE_SETUP:
            connection.execute(statement)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later would fail where another wrote in between.
        is_writing = connection.get_execution_options().get(WRITING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    _ = (set_up, begin)
    return engine


def _postgresql_engine(catalog: CatalogUrl) -> Engine:
    url = catalog.url
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": "5"})
    engine = create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=24)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Writers take turns: revisions then become visible in the order of their numbers.
        if connection.get_execution_options().get(WRITING):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

    _ = begin
    return engine


@contextmanager
def _one_at_a_time(catalog: CatalogUrl) -> Generator[None]:
    """Hold a lock on the folder of a SQLite file: what makes it one is not safe for two at once.

    SQLite gives up at once, without regard to its timeout, when two switch a new file to WAL.
    """
    if catalog.path is None:
        yield
        return
    try:
        folder = os.open(catalog.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _not_writable(catalog.path.parent, error) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _bring_up_to_date(connection: Connection, catalog: CatalogUrl) -> None:
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE in tables:
        version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
        if version != HEAD:
            _migrate(connection, catalog, str(version))
    elif not tables:
        # What the migrations would make, without the 0.3 s it takes to load Alembic.
        schema.metadata.create_all(connection)
        connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}')"))
        connection.execute(schema.counters.insert().values(name="revision", value=0))
    else:
        raise StoreError(
            "store-foreign",
            f"{catalog.shown} holds tables of something else ({', '.join(sorted(tables)[:3])})",
            "expected a store of clew's, or an empty database",
            "choose another place",
        )


def _migrate(connection: Connection, catalog: CatalogUrl, version: str) -> None:
    from clew.store.migrations import run  # only here: Alembic takes 0.3 s to load

    if version not in run.known_versions():
        raise StoreError(
            "store-newer",
            f"the store {catalog.shown} has schema {version}",
            f"this clew knows schemas up to {HEAD}",
            "use the clew that wrote it, or a newer one",
        )
    run.upgrade(connection)


def unavailable(where: str, error: DBAPIError) -> StoreUnavailableError:
    """Return what to tell of a failure of the database."""
    lines = str(error.orig or error).strip().splitlines()
    return StoreUnavailableError(where, lines[0] if lines else type(error.orig).__name__)


def _not_writable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        "store-not-writable",
        f"the folder {folder} cannot be used ({error.strerror})",
        "expected a folder that can be written to",
        "choose another place, or change its rights",
    )
