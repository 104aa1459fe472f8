"""Addresses and keys of servers, at the border where they come in."""

from __future__ import annotations

import os
from email.utils import formatdate
from time import time

import pytest

from clew.format.destination import Destination, find_key, read_destination, split_url
from clew.format.post import _retry_after
from clew.model.errors import ClewError


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://127.0.0.1:7777", ("http", "127.0.0.1", 7777, "")),
        ("https://clew.example.org", ("https", "clew.example.org", 443, "")),
        ("http://here/below/it/", ("http", "here", 80, "/below/it")),
        ("https://[2001:db8::1]:8443/", ("https", "2001:db8::1", 8443, "")),
        ("http://[::1]", ("http", "::1", 80, "")),
    ],
)
def test_addresses_are_taken_apart(url, parts):
    """Scheme, host, port, path."""
    assert split_url(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "", "http", "here:1", "HTTP//x", "http://", "http://:80", "http://a:b", "http://a:0", "http://a:65536", "http://[::1]x",
        "http://a b", "http://a\r\nX: y", "http://a/?q", "http://a/#f", "http://u@a", "http://ä", "http://a\\b", "http://a:１",
    ],
)  # fmt: skip
def test_what_is_no_address_is_said(url):
    """Nothing that could change a request, or send the key elsewhere, gets through."""
    with pytest.raises(TypeError, match="a URL such as"):
        split_url(url)


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("http://127.0.0.1:7777", False),
        ("http://127.8.9.1", False),
        ("http://localhost:1", False),
        ("http://[::1]:1", False),
        ("https://far.example", False),
        ("http://far.example", True),
        ("http://localhost.example", True),
        ("http://127.example.org", True),
    ],
)
def test_what_others_could_read_is_warned_of(url, is_open):
    """Unencrypted is for the machine itself."""
    assert Destination(url).is_open_to_others == is_open
    assert bool(Destination(url).warning) == is_open


def test_the_key_of_a_file_beats_the_environment(tmp_path):
    """One line, with or without an end of line."""
    path = tmp_path / "key"
    path.write_text("  from-file\n")

    assert find_key({"CLEW_SERVER_KEY": "from-environment"}, str(path)) == "from-file"
    assert find_key({"CLEW_SERVER_KEY": "from-environment\n"}, "") == "from-environment"
    assert find_key({}, "") == ""
    with pytest.raises(ClewError, match="cannot be read"):
        find_key({}, str(tmp_path / "none"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": "ftp://x"}', '{"url": "http://x", "key": 1}', "\xff"])
def test_a_damaged_destination_is_none(tmp_path, text):
    """A collector records on, and sends nothing."""
    (tmp_path / ".server").write_text(text, encoding="latin-1")

    assert read_destination(str(tmp_path)) is None


def test_a_destination_is_written_for_its_owner_only(tmp_path):
    """Whatever the umask is, and over an older one."""
    before = os.umask(0)
    try:
        Destination("http://one").write(str(tmp_path))
        Destination("http://two/", "key", keeps=True, spool_bytes=5).write(str(tmp_path))
    finally:
        os.umask(before)

    assert (tmp_path / ".server").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == [".server"]
    found = read_destination(str(tmp_path))
    assert (found.url, found.key, found.keeps, found.spool_bytes) == ("http://two", "key", True, 5)


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("7", 7), (" 7 ", 7), ("-7", 0), ("1e9", 0), ("99999999", 300), ("nan", 0), ("²", 0)]
)
def test_retry_after_is_bounded(text, seconds):
    """A server cannot send the sender to sleep for a year."""
    assert _retry_after(text) == seconds


def test_retry_after_may_be_a_date():
    """RFC 9110 allows both."""
    assert 55 <= _retry_after(formatdate(time() + 60, usegmt=True)) <= 60
    assert _retry_after(formatdate(time() - 60, usegmt=True)) == 0
