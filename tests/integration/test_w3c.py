"""W3C Trace Context, level 1 and 2: what a recorded service sends on, given what it received.

The cases are written from the specification, one for each that the conformance suite
(github.com/w3c/trace-context, ``test/test.py``) has, and one for the flag that level 2
added. ``trace_context_service.py`` says how to run that suite itself.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clew.format.reader import open_recording

TRACE = "12345678901234567890123456789012"
SPAN = "1234567890123456"
PARENT = f"00-{TRACE}-{SPAN}-01"
VALID = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
SERVICE = Path(__file__).with_name("trace_context_service.py")

Headers = list[tuple[str, str]]


class Harness:
    """Sends requests to the service and sees those the service makes."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: list[Headers] = []
        harness = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                harness.seen.append([(name.lower(), value) for name, value in self.headers.items()])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def call(self, headers: Headers, count: int = 1) -> list[Headers]:
        """Send *headers* to the service, return those of the *count* requests it makes."""
        self.seen.clear()
        url = f"http://127.0.0.1:{self.server.server_port}/callback"
        body = json.dumps([{"url": url, "arguments": []}] * count).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest("POST", "/test")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        assert connection.getresponse().status == 200
        connection.close()
        assert len(self.seen) == count
        return self.seen.copy()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module", params=["asgi", "wsgi", "aiohttp"])
def harness(request: Any, tmp_path_factory: Any) -> Any:
    """A recorded service of each kind, and the harness around it."""
    path = tmp_path_factory.mktemp(f"w3c-{request.param}") / "service.clew"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
    command = [sys.executable, "-m", "clew", "run", "--quiet", "-o", str(path), str(SERVICE), request.param, "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as service:
        try:
            assert service.stdout is not None
            harness = Harness(int(service.stdout.readline()))
            yield harness
            harness.close()
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(20)
    (stream,) = open_recording(path).streams
    assert not (stream.end or {}).get("problems")


def parent_of(headers: Headers) -> tuple[str, str, str]:
    """The one valid traceparent among *headers*, as trace id, span id, flags."""
    (value,) = [value for name, value in headers if name == "traceparent"]
    match = VALID.fullmatch(value)
    assert match, value
    return match[1], match[2], match[3]


def state_of(headers: Headers) -> str:
    """The members of every tracestate header."""
    return ",".join(value for name, value in headers if name == "tracestate")


def pairs(state: str) -> dict[str, str]:
    return dict(member.split("=", 1) for member in state.split(",") if member)


# -- traceparent

CONTINUED: dict[str, list[Headers]] = {
    "without_a_state": [[("traceparent", PARENT)]],
    "under_a_name_in_any_case": [[(name, PARENT)] for name in ("TraceParent", "TrAcEpArEnT", "TRACEPARENT")],
    "of_a_later_version": [
        [("traceparent", f"cc-{TRACE}-{SPAN}-01")],
        [("traceparent", f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like")],
    ],
    "with_space_around_it": [
        [("traceparent", before + PARENT + after)]
        for before, after in ((" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t"))
    ],
}


@pytest.mark.parametrize("case", CONTINUED)
def test_the_trace_goes_on_with_a_valid_parent(harness, case):
    """The trace id stays, the span id is the service's own."""
    for headers in CONTINUED[case]:
        (sent,) = harness.call(headers)

        trace, span, _ = parent_of(sent)
        assert trace == TRACE
        assert span != SPAN


RESTARTED: dict[str, list[Headers]] = {
    "absent": [[]],
    "duplicated": [[("traceparent", f"00-{TRACE[:-1]}1-{SPAN}-01"), ("traceparent", PARENT)]],
    "under_another_name": [[("trace-parent", PARENT)], [("trace.parent", PARENT)]],
    "of_version_00_with_more_behind_it": [
        [("traceparent", PARENT + ".")],
        [("traceparent", PARENT + "-what-the-future-will-be-like")],
    ],
    "of_a_later_version_with_more_behind_a_dot": [[("traceparent", f"cc-{TRACE}-{SPAN}-01.what-the-future-is")]],
    "of_version_ff": [[("traceparent", f"ff-{TRACE}-{SPAN}-01")]],
    "version_has_illegal_characters": [[("traceparent", f"{v}-{TRACE}-{SPAN}-01")] for v in (".0", "0.")],
    "version_too_long": [[("traceparent", f"{v}-{TRACE}-{SPAN}-01")] for v in ("000", "0000")],
    "version_too_short": [[("traceparent", f"0-{TRACE}-{SPAN}-01")]],
    "trace_id_is_zero": [[("traceparent", f"00-{'0' * 32}-{SPAN}-01")]],
    "trace_id_has_illegal_characters": [
        [("traceparent", f"00-.{TRACE[1:]}-{SPAN}-01")],
        [("traceparent", f"00-{TRACE[:-1]}.-{SPAN}-01")],
    ],
    "trace_id_too_long": [[("traceparent", f"00-{TRACE}3-{SPAN}-01")]],
    "trace_id_too_short": [[("traceparent", f"00-{TRACE[:-1]}-{SPAN}-01")]],
    "parent_id_is_zero": [[("traceparent", f"00-{TRACE}-{'0' * 16}-01")]],
    "parent_id_has_illegal_characters": [
        [("traceparent", f"00-{TRACE}-.{SPAN[1:]}-01")],
        [("traceparent", f"00-{TRACE}-{SPAN[:-1]}.-01")],
    ],
    "parent_id_too_long": [[("traceparent", f"00-{TRACE}-{SPAN}7-01")]],
    "parent_id_too_short": [[("traceparent", f"00-{TRACE}-{SPAN[:-1]}-01")]],
    "flags_have_illegal_characters": [[("traceparent", f"00-{TRACE}-{SPAN}-{flags}")] for flags in (".0", "0.")],
    "flags_too_long": [[("traceparent", PARENT + "0")]],
    "flags_too_short": [[("traceparent", f"00-{TRACE}-{SPAN}-1")]],
}


@pytest.mark.parametrize("case", RESTARTED)
def test_a_new_trace_begins_where_the_parent_is(harness, case):
    """The trace id is new, and of the state nothing goes on."""
    for headers in RESTARTED[case]:
        (sent,) = harness.call([*headers, ("tracestate", "foo=1")])

        trace, _, _ = parent_of(sent)
        assert trace not in (TRACE, f"{TRACE[:-1]}1", TRACE[1:] + "3")
        assert state_of(sent) == ""


@pytest.mark.parametrize(("came", "goes"), [("00", "01"), ("01", "01"), ("02", "03"), ("ff", "03")])
def test_the_flags_say_recorded_and_keep_random(harness, came, goes):
    """Level 2: the random flag belongs to the trace id; unknown flags are cleared."""
    (sent,) = harness.call([("traceparent", f"00-{TRACE}-{SPAN}-{came}")])

    assert parent_of(sent)[2] == goes


# -- tracestate


def test_a_state_without_a_parent_is_dropped(harness):
    """However many members it has."""
    sent = [harness.call([("tracestate", value)])[0] for value in ("foo=1", "foo=1,bar=2")]

    assert [state_of(headers) for headers in sent] == ["", ""]


ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
VALUE = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in ",=")
MEMBERS = [f"bar{i:02}={i:02}" for i in range(1, 34)]

KEPT: dict[str, list[tuple[list[str], dict[str, str]]]] = {
    "with_a_parent": [(["foo=1,bar=2"], {"foo": "1", "bar": "2"})],
    "with_an_empty_header_beside_it": [
        ([""], {}),
        (["foo=1", ""], {"foo": "1"}),
        (["", "foo=1"], {"foo": "1"}),
    ],
    "in_several_headers": [
        (["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], {"foo": "1", "bar": "2", "rojo": "1", "congo": "2", "baz": "3"})
    ],
    "with_all_allowed_characters": [
        ([f"{ALPHABET}={VALUE}"], {ALPHABET: VALUE}),
        ([f"{ALPHABET}@a-z0-9_-*/={VALUE}"], {f"{ALPHABET}@a-z0-9_-*/": VALUE}),
    ],
    "with_space_around_members": [
        (["foo=1 \t , \t bar=2, \t baz=3"], {"foo": "1", "bar": "2", "baz": "3"}),
        (["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], {"foo": "1", "bar": "2", "baz": "3"}),
        *[([text], {"foo": "1"}) for text in (" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t")],
    ],
    "of_32_members": [([",".join(MEMBERS[:16]), ",".join(MEMBERS[16:32])], dict(m.split("=") for m in MEMBERS[:32]))],
    "with_the_longest_keys": [
        (["foo=1", "z" * 256 + "=1"], {"foo": "1", "z" * 256: "1"}),
        (["foo=1", "t" * 241 + "@" + "v" * 14 + "=1"], {"foo": "1", "t" * 241 + "@" + "v" * 14: "1"}),
    ],
}


@pytest.mark.parametrize("case", KEPT)
def test_a_state_goes_on(harness, case):
    """Every member, in order, whatever the flags of the parent."""
    for values, expected in KEPT[case]:
        (sent,) = harness.call([("traceparent", PARENT[:-2] + "00"), *[("tracestate", value) for value in values]])

        assert parent_of(sent)[0] == TRACE
        assert list(pairs(state_of(sent)).items()) == list(expected.items())


def test_the_name_of_the_state_may_be_in_any_case(harness):
    """Header names do not differ by case."""
    for name in ("TraceState", "TrAcEsTaTe", "TRACESTATE"):
        (sent,) = harness.call([("traceparent", PARENT), (name, "foo=1")])

        assert state_of(sent) == "foo=1"


DROPPED: dict[str, list[list[str]]] = {
    "key_is_duplicated": [["foo=1,foo=1"], ["foo=1,foo=2"], ["foo=1", "foo=1"], ["foo=1", "foo=2"]],
    "key_has_illegal_characters": [["foo =1"], ["FOO=1"], ["foo.bar=1"]],
    "key_has_an_illegal_vendor": [["foo@=1,bar=2"], ["@foo=1,bar=2"], ["foo@@bar=1,bar=2"], ["foo@bar@baz=1,bar=2"]],
    "members_are_33": [[",".join(MEMBERS[:16]), ",".join(MEMBERS[16:])]],
    "key_is_too_long": [
        ["foo=1", "z" * 257 + "=1"],
        ["foo=1", "t" * 242 + "@v=1"],
        ["foo=1", "t@" + "v" * 15 + "=1"],
    ],
    "value_is_illegal": [["foo=bar=baz"], ["foo=,bar=3"]],
}


@pytest.mark.parametrize("case", DROPPED)
def test_a_state_is_dropped_where_a(harness, case):
    """The trace goes on without it."""
    for values in DROPPED[case]:
        (sent,) = harness.call([("traceparent", PARENT), *[("tracestate", value) for value in values]])

        assert parent_of(sent)[0] == TRACE
        assert state_of(sent) == ""


def test_a_state_under_another_name_is_dropped(harness):
    """Nothing that merely looks like the header."""
    for name in ("trace-state", "trace.state"):
        (sent,) = harness.call([("traceparent", PARENT), (name, "foo=1")])

        assert state_of(sent) == ""


# -- several requests


def test_every_request_of_a_continued_trace_has_a_parent_of_its_own(harness):
    """One trace, three spans."""
    parents = [parent_of(headers) for headers in harness.call([("traceparent", PARENT)], 3)]

    assert {trace for trace, _, _ in parents} == {TRACE}
    assert len({span for _, span, _ in parents}) == 3


@pytest.mark.parametrize("headers", [[], [("traceparent", f"00-{'0' * 32}-{SPAN}-01")]], ids=["none", "illegal"])
def test_every_request_of_a_new_trace_has_a_parent_of_its_own(harness, headers):
    """One new trace, three spans."""
    parents = [parent_of(sent) for sent in harness.call(headers, 3)]

    assert len({trace for trace, _, _ in parents}) == 1
    assert len({span for _, span, _ in parents}) == 3
