"""Addresses of stores, and keys of blobs."""

from pathlib import Path

import pytest

from clew.store.blobs import Blobs
from clew.store.catalog import parse_url
from clew.store.errors import StoreError


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite:////var/clew/x.db", "/var/clew/x.db"),
        ("sqlite:///x.db", "{cwd}/x.db"),
        ("/var/clew", "/var/clew/catalog.db"),
        ("/var/clew.sqlite3", "/var/clew.sqlite3"),
        ("store", "{cwd}/store/catalog.db"),
    ],
)
def test_a_path_or_a_url_of_sqlite_names_a_file(text, path):
    """A bare folder is enough."""
    catalog = parse_url(text)

    assert str(catalog.path) == path.format(cwd=Path.cwd()) == catalog.shown


def test_postgresql_is_reached_through_psycopg():
    """And the password is not shown."""
    catalog = parse_url("postgresql://ann:secret@db:5433/clew?sslmode=require")

    assert catalog.url.drivername == "postgresql+psycopg"
    assert catalog.url.password == "secret"
    assert catalog.shown == "postgresql://ann:***@db:5433/clew?sslmode=require"


@pytest.mark.parametrize(
    ("text", "slug", "says"),
    [
        ("postgres://ann:secret@db/clew", "store-scheme", "did you mean 'postgresql://…'"),
        ("sqlit:///x", "store-scheme", "did you mean 'sqlite://…'"),
        ("mysql://ann:secret@db/clew", "store-scheme", "sqlite, postgresql"),
        ("sqlite://", "store-url", "names no file"),
        ("sqlite:///:memory:", "store-url", "names no file"),
        ("sqlite://x.db", "store-url", "expected sqlite:///x.db"),
        ("postgresql://ann:secret@db:port/clew", "store-url", "postgresql://user"),
    ],
)
def test_an_address_without_meaning_is_explained(text, slug, says):
    """Without its password."""
    with pytest.raises(StoreError) as caught:
        parse_url(text)

    assert caught.value.slug == slug
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("ftp://host/x", "store-scheme"),
        ("file://host/x", "store-url"),
        ("s3://", "store-url"),
        ("s3://key:secret@bucket/x", "store-url"),
        ("s3://bucket/x?secret=1", "store-url"),
        ("/dev/null/x", "store-url"),
    ],
)
def test_a_place_of_blobs_without_meaning_is_explained(url, slug):
    """Before anything is stored."""
    with pytest.raises(StoreError) as caught:
        Blobs.open(url)

    assert caught.value.slug == slug
    assert "key:secret" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        "a/..",
        "./a",
        "a/./b",
        "A",
        "a b",
        "a\\b",
        "a\0",
        "é",
        "a" * 256,
        "a\n",
        "~",
        "%2e%2e/a",
    ],
)
def test_a_key_that_could_leave_the_store_is_refused(key):
    """For every operation."""
    blobs = Blobs.open("memory://")

    for use in (
        blobs.get,
        blobs.size,
        blobs.delete,
        blobs.path,
        lambda k: blobs.put(k, b""),
        lambda k: blobs.get_range(k, 0, 1),
    ):
        with pytest.raises(StoreError, match="blob-key"):
            use(key)


@pytest.mark.parametrize("key", ["a", "segments/0-1.x/events.parquet", "a..b/..c/d..", "a" * 255])
def test_keys_of_ordinary_characters_are_taken(key):
    """Dots within a part are harmless."""
    blobs = Blobs.open("memory://")

    blobs.put(key, b"x")

    assert [info.key for info in blobs.list()] == [key]
