"""The catalog is made, migrated and opened on both databases, and refused where it is not ours."""

import multiprocessing
import sqlite3
import time

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from clew.store import catalog, schema
from clew.store.errors import StoreError, StoreUnavailableError
from clew.store.migrations import run
from clew.store.store import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path):
    """The address of a database without tables."""
    if request.param == "sqlite":
        return catalog.parse_url(str(tmp_path / "x.db"))
    return catalog.parse_url(request.getfixturevalue("postgresql_database"))


def connect(address):
    """Connect as the store does, without making its tables."""
    make = catalog._sqlite_engine if address.path else catalog._postgresql_engine
    return make(address)


def shape(engine):
    """Every table with its columns, keys and indexes, as the database tells of them."""
    found = inspect(engine)
    return {
        name: (
            [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in found.get_columns(name)],
            found.get_pk_constraint(name),
            sorted(found.get_unique_constraints(name), key=str),
            sorted(found.get_indexes(name), key=str),
            found.get_foreign_keys(name),
        )
        for name in found.get_table_names()
        if name != catalog.VERSION_TABLE
    }


def test_the_schema_made_at_once_is_the_one_the_migrations_make(empty, tmp_path, request):
    """A new store is made without Alembic; it must not differ."""
    engine = connect(empty)
    with engine.connect().execution_options(**{catalog.WRITING: True}) as connection, connection.begin():
        run.upgrade(connection)
    migrated = shape(engine)
    with engine.connect() as connection:
        differences = compare_metadata(
            MigrationContext.configure(connection, opts={"version_table": catalog.VERSION_TABLE}), schema.metadata
        )
        revision = connection.execute(schema.counters.select()).all()
        version = connection.execute(text(f"SELECT * FROM {catalog.VERSION_TABLE}")).scalar()
    with engine.begin() as connection:
        schema.metadata.drop_all(connection)
        connection.execute(text(f"DROP TABLE {catalog.VERSION_TABLE}"))
    engine.dispose()

    made = catalog.open_engine(empty)

    assert shape(made) == migrated
    assert sorted(migrated) == sorted(schema.metadata.tables)
    assert differences == []
    assert version == catalog.HEAD
    with made.connect() as connection:
        assert connection.execute(schema.counters.select()).all() == revision == [("revision", 0)]
    made.dispose()


def test_sqlite_keeps_small_tables_in_one_tree(tmp_path):
    """Reflection does not tell, so the statements are compared: with them an empty store stays small."""
    statements = []
    for name in ("made", "migrated"):
        address = catalog.parse_url(str(tmp_path / f"{name}.db"))
        engine = connect(address)
        if name == "migrated":
            with engine.connect().execution_options(**{catalog.WRITING: True}) as connection, connection.begin():
                run.upgrade(connection)
            engine.dispose()
        catalog.open_engine(address).dispose()
        with sqlite3.connect(address.path) as connection:
            rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE name != ?", (catalog.VERSION_TABLE,))
            statements.append(
                sorted((row[0], " ".join((row[1] or "").split())) for row in rows if "clew_version" not in row[0])
            )
        connection.close()

    assert statements[0] == statements[1]
    assert sum("WITHOUT ROWID" in sql for _, sql in statements[0]) == 7
    assert address.path.stat().st_size < 80_000


def test_the_newest_migration_is_the_one_the_code_names():
    """Otherwise every start would load Alembic, or none would migrate."""
    assert max(run.known_versions()) == catalog.HEAD


def test_a_store_of_a_newer_clew_is_refused(empty):
    """And left as it is."""
    catalog.open_engine(empty).dispose()
    engine = connect(empty)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {catalog.VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()

    with pytest.raises(StoreError, match="store-newer") as caught:
        catalog.open_engine(empty)

    assert "9999" in str(caught.value)


def test_the_database_of_another_program_is_refused(empty):
    """Its tables stay alone."""
    engine = connect(empty)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE invoices (id INTEGER)"))

    with pytest.raises(StoreError, match="store-foreign"):
        catalog.open_engine(empty)

    assert inspect(engine).get_table_names() == ["invoices"]
    engine.dispose()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """With what it is, not with a traceback."""
    (tmp_path / "x.db").write_bytes(b"not a database at all" * 100)

    with pytest.raises(StoreError, match="store-foreign"):
        Store.open(str(tmp_path / "x.db"))


def test_a_folder_that_cannot_be_made_is_refused():
    """The message names it."""
    with pytest.raises(StoreError, match="store-not-writable"):
        catalog.open_engine(catalog.parse_url("/dev/null/x"))


def test_a_postgresql_that_is_not_there_is_named(tmp_path):
    """Without its password."""
    with pytest.raises(StoreUnavailableError) as caught:
        Store.open("postgresql://ann:secret@127.0.0.1:1/clew", str(tmp_path))

    assert "ann:***@127.0.0.1:1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_postgresql_wants_a_place_for_blobs():
    """There is no folder beside it."""
    with pytest.raises(StoreError, match="store-blobs"):
        Store.open("postgresql://127.0.0.1:1/clew")


def open_when_told(address, barrier, results):
    barrier.wait(30)
    try:
        catalog.open_engine(catalog.parse_url(address)).dispose()
    except BaseException as error:
        results.put(repr(error))
        raise
    results.put("opened")


def test_servers_that_start_at_once_make_one_store(empty):
    """Each finds it whole."""
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(3), spawn.Queue()
    address = str(empty.path or empty.url.render_as_string(hide_password=False).replace("+psycopg", ""))
    servers = [spawn.Process(target=open_when_told, args=(address, barrier, results)) for _ in range(3)]
    for server in servers:
        server.start()

    outcomes = [results.get(timeout=30) for _ in servers]

    for server in servers:
        server.join(30)
    assert outcomes == ["opened"] * 3
    engine = connect(empty)
    with engine.connect() as connection:
        assert connection.execute(schema.counters.select()).all() == [("revision", 0)]
    engine.dispose()


def test_what_was_removed_is_given_back_to_the_disk(sqlite_store):
    """After chunks went into a segment the file must not stay as large as they were."""
    with sqlite_store.write() as connection:
        row = {
            "process_id": "a",
            "type": 2,
            "events": 1,
            "crc": 1,
            "received_ns": time.time_ns(),
            "body": bytes(1 << 20),
        }
        connection.execute(schema.chunks.insert(), [row | {"first_seq": i} for i in range(8)])
    with sqlite_store.write() as connection:
        connection.execute(schema.chunks.delete())

    sqlite_store.shrink()

    sizes = [path.stat().st_size for path in sqlite_store.catalog.path.parent.glob("catalog.db*") if path.is_file()]
    assert sum(sizes) < 200_000
