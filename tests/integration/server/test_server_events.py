"""Routes of events: pages, filters, one with all that is known around it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.synthetic import write_recording
from starlette.testclient import TestClient
from tests.support.compacting import compact
from tests.support.recordings import WALL_NS, Process
from tests.support.stored import put, put_processes

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole
from clew.model.times import format_time
from clew.server.app import create_app
from clew.server.indexer import index_changed
from clew.server.settings import Settings
from clew.store.store import Store

K = EventKind
A, B = f"{0xA1:016x}", f"{0xB2:016x}"
RUN = f"{7 << 64 | 9:032x}"
HASH = "ab" * 32


def caller() -> Process:
    """Two tasks and a lock in a run; events before it and after it belong to another."""
    process = Process(0xA1, service="shop")
    process.span("unused", role=SpanRole.STEP, trace=1)
    buy = process.span("buy", span_id=71)
    task = process.task("Task-7", "checkout", span=buy)
    lock = process.entity(EntityKind.LOCK, "Cart.lock")
    site = process.site(31, "Cart.checkout")
    process.event(0, K.CUSTOM_EVENT, process.main, span=1)
    process.event(100, K.LIFE_SPAN_START, process.main, span=buy)
    created = process.event(110, K.LIFE_TASK_START, process.main, entity=task, span=buy, site=site)
    process.step(120, task, 30, cause=created)
    process.event(
        125, K.SYNC_ACQUIRED, task, entity=lock, span=buy, site=site, op=Operation.ACQUIRE, outcome=Outcome.OK,
        wait_ns=5_000,
    )  # fmt: skip
    attrs = {
        "type": "KeyError", "message": "no cart", "stack": [site, 999, "x"], "artifacts": [HASH, "nonsense"],
        "chain": [{"relation": "cause", "type": "OSError", "message": "gone", "stack": [site]}, "nonsense"],
        "huge": 1 << 70, "half": "\ud800", "none": float("inf"),
    }  # fmt: skip
    process.event(130, K.ERROR_RAISED, task, span=buy, site=site, attrs=attrs)
    process.event(140, K.LOG_RECORD, task, span=buy, arg=20, attrs={"message": "100% _done_"})
    process.event(900, K.LIFE_SPAN_END, process.main, span=buy, outcome=Outcome.OK)
    return process


def callee() -> Process:
    process = Process(0xB2, service="bank")
    process.span("unused", trace=1)
    pay = process.span("POST /pay", span_id=72, parent_span_id=71, kind=SpanKind.SERVER)
    process.event(300, K.LIFE_SPAN_START, process.main, span=pay, remote_cause=(0xA1, 3))
    process.event(500, K.LIFE_SPAN_END, process.main, span=pay, outcome=Outcome.OK)
    return process


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a server with one run of two processes."""
    folder = tmp_path_factory.mktemp("events")
    with Store.open(str(folder / "store")) as store:
        put_processes(store, folder, caller(), callee())
        app = create_app(store, settings=Settings(log_requests=False))
        with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
            yield client


def get(client: TestClient, path: str = "", **parameters: Any) -> Any:
    response = client.get(f"/api/v1/runs/{RUN}/events{path}", params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def refs(page: Any) -> list[tuple[str, int]]:
    return [(event["process"], event["seq"]) for event in page["events"]]


def error_of(client: TestClient, path: str = "", **parameters: Any) -> tuple[int, str]:
    response = client.get(f"/api/v1/runs/{RUN}/events{path}", params=parameters)
    return response.status_code, response.json()["error"]["code"]


ALL = [(A, 2), (A, 3), (A, 4), (A, 5), (A, 6), (A, 7), (B, 1), (B, 2), (A, 8)]


def test_events_of_a_run_by_time(client: TestClient) -> None:
    """Those whose run it is, of all processes, on one clock that begins with the run."""
    page = get(client)

    assert refs(page) == ALL
    assert (page["total"], page["next_cursor"], page["previous_cursor"]) == (9, None, None)
    assert [event["t_ns"] for event in page["events"]] == [
        0, 10_000, 20_000, 25_000, 30_000, 40_000, 200_000, 400_000, 800_000,
    ]  # fmt: skip
    assert {event["run"] for event in page["events"]} == {RUN}


def test_an_event_has_its_numbers_resolved(client: TestClient) -> None:
    """Names of what it speaks of, with their numbers."""
    event = get(client)["events"][3]

    assert event == {
        "process": A, "service": "shop", "seq": 5, "t_ns": 25_000, "kind": "sync.acquired", "op": "acquire",
        "outcome": "ok", "scope": "Task-7", "scope_id": 3, "entity": "Cart.lock", "entity_kind": "lock", "entity_id": 4,
        "run": RUN, "span": "buy", "span_id": 2, "file": "app.py", "line": 31, "function": "Cart.checkout",
        "wait_ns": 5_000, "duration_ns": None, "arg": 0, "cause": None, "attrs": None,
    }  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 4, 9])
def test_pages_lead_forward_and_back(client: TestClient, limit: int) -> None:
    """By the cursors every event comes once, in both directions."""
    forward: list[tuple[str, int]] = []
    page = get(client, limit=limit)
    forward += refs(page)
    while page["next_cursor"]:
        page = get(client, limit=limit, cursor=page["next_cursor"])
        forward += refs(page)
    backward = refs(page)
    while page["previous_cursor"]:
        page = get(client, limit=limit, cursor=page["previous_cursor"])
        backward = refs(page) + backward

    assert forward == ALL
    assert backward == ALL


@pytest.mark.parametrize(
    ("around", "limit", "expected"),
    [
        ((A, 6), 3, [(A, 5), (A, 6), (A, 7)]),
        ((A, 2), 3, [(A, 2), (A, 3), (A, 4)]),
        ((A, 8), 3, [(B, 1), (B, 2), (A, 8)]),
        ((A, 1), 2, [(A, 2), (A, 3)]),
        ((B, 2), 1, [(B, 2)]),
    ],
)
def test_a_page_around_an_event(
    client: TestClient, around: tuple[str, int], limit: int, expected: list[tuple[str, int]]
) -> None:
    """The event stands in the middle, as far as there is something on both sides."""
    assert refs(get(client, around=f"{around[0]}:{around[1]}", limit=limit)) == expected


def test_a_page_around_an_event_that_the_filter_leaves_out(client: TestClient) -> None:
    """It is where the event would be, and leads on in both directions."""
    page = get(client, around=f"{A}:5", limit=2, filter="-kind:sync.*")

    assert refs(page) == [(A, 4), (A, 6)]
    assert refs(get(client, limit=9, filter="-kind:sync.*", cursor=page["next_cursor"])) == ALL[5:]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("kind:sync.acquired", [(A, 5)]),
        ("kind:life.span_*", [(A, 2), (B, 1), (B, 2), (A, 8)]),
        ("kind:life.* -kind:life.span_*", [(A, 3), (A, 4)]),
        ("op:acquire", [(A, 5)]),
        ('op:"" kind:sync.*', []),
        ("outcome:ok service:bank", [(B, 2)]),
        ("scope:Task-7", [(A, 4), (A, 5), (A, 6), (A, 7)]),
        ('scope:"checkout (Task-7)"', [(A, 4), (A, 5), (A, 6), (A, 7)]),
        ("entity:cart.LOCK", [(A, 5)]),
        (f"process:{B}", [(B, 1), (B, 2)]),
        ("span:POST*", [(B, 1), (B, 2)]),
        ("file:app.py", [(A, 3), (A, 5), (A, 6)]),
        ("function:checkout", [(A, 3), (A, 5), (A, 6)]),
        ("line:31", [(A, 3), (A, 5), (A, 6)]),
        ("line:<31", []),
        ("line:>0 -has:error", [(A, 3), (A, 5)]),
        ("dur:>20us", [(A, 4)]),
        ("wait:5us", [(A, 5)]),
        ("seq:2..3", [(A, 2), (A, 3), (B, 2)]),
        ("t:<=20us", [(A, 2), (A, 3), (A, 4)]),
        ("t:..-1ns", []),
        ("has:error", [(A, 6)]),
        ("has:attrs -has:error", [(A, 7)]),
        ("has:cause", [(A, 4), (B, 1)]),
        ("has:error,cause", [(A, 4), (A, 6), (B, 1)]),
        ("cart", [(A, 3), (A, 5), (A, 6)]),
        ("bank", [(B, 1), (B, 2)]),
        ('"post /pay" -kind:life.span_end', [(B, 1)]),
        ("nothing", []),
    ],
)
def test_filters_of_events(client: TestClient, filter: str, expected: list[tuple[str, int]]) -> None:
    """Every field does what the reference says; the total is of what passes."""
    page = get(client, filter=filter)

    assert refs(page) == expected
    assert page["total"] == len(expected)


def test_an_event_in_detail(client: TestClient) -> None:
    """When it was, in one sentence, with stack, chain, place and artifacts."""
    event = get(client, f"/{A}/6")
    detail = event["detail"]

    frame = {"file": "app.py", "line": 31, "function": "Cart.checkout", "site": 1}
    assert detail["at"] == format_time(WALL_NS + 130_000)
    assert detail["text"] == "checkout (Task-7) raised KeyError: no cart"
    assert (detail["site_id"], detail["stack"]) == (1, [frame])
    assert detail["chain"] == [{"type": "OSError", "message": "gone", "relation": "cause", "stack": [frame]}]
    assert [(scope["kind"], scope["name"]) for scope in detail["scope_path"]] == [
        ("process", "shop"), ("thread", "MainThread"), ("task", "checkout (Task-7)"),
    ]  # fmt: skip
    assert detail["artifacts"] == [HASH]
    assert [event["attrs"][name] for name in ("huge", "half")] == [1 << 70, "\ud800"]


def test_what_an_event_enabled_is_told_across_processes(client: TestClient) -> None:
    """Events whose cause it is, here and elsewhere, by time."""
    effects = get(client, f"/{A}/3")["detail"]["effects"]

    assert [(effect["process"], effect["seq"], effect["t_ns"], effect["kind"]) for effect in effects] == [
        (A, 4, 20_000, "life.step"), (B, 1, 200_000, "life.span_start"),
    ]  # fmt: skip
    assert effects[1]["text"] == "bank served POST /pay"
    assert get(client, f"/{B}/1")["cause"] == {"process": A, "seq": 3}


def test_an_event_outside_of_the_run_but_of_its_processes_is_told(client: TestClient) -> None:
    """What led to a run may have happened before it: its time is negative."""
    event = get(client, f"/{A}/1")

    assert (event["t_ns"], event["run"]) == (-100_000, f"{7 << 64 | 1:032x}")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/{A}/99", 404, "event-missing"),
        (f"/{'c' * 16}/1", 404, "event-missing"),
        (f"/{A}/{(1 << 63) - 1}", 404, "event-missing"),
        (f"/{A}/0", 422, "parameter"),
        (f"/{A}/-1", 422, "parameter"),
        (f"/{A}/{1 << 63}", 422, "parameter"),
        (f"/{A}/x", 422, "parameter"),
        ("/short/1", 422, "parameter"),
        (f"/{A.upper()}/1", 422, "parameter"),
        ("/..%2f..%2fetc/1", 404, "not-found"),
    ],
)
def test_events_that_are_not_there(client: TestClient, path: str, status: int, code: str) -> None:
    """Ids of a wrong shape and numbers that nobody has are told apart."""
    assert error_of(client, path) == (status, code)


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"around": f"{A}:99"}, 404, "event-missing"),
        ({"around": "x"}, 404, "event-missing"),
        ({"around": f"{A}:{'9' * 30}"}, 404, "event-missing"),
        ({"cursor": "x"}, 400, "cursor"),
        ({"cursor": "WyJldmVudHMiLCJ1cCIsIjAwMDAwMDAwMDAwMDAwYTEiLDJd"}, 400, "cursor"),
        ({"cursor": "WyJldmVudHMiLCJhZnRlciIsIi4uLyIsMl0"}, 400, "cursor"),
        ({"limit": 0}, 422, "parameter"),
        ({"filter": "colour:red"}, 400, "filter"),
        ({"filter": "kind:sync"}, 400, "filter"),
    ],
)
def test_lists_that_cannot_be_given(client: TestClient, parameters: dict[str, Any], status: int, code: str) -> None:
    """What is wrong with the request is said."""
    assert error_of(client, **parameters) == (status, code)


def test_a_page_of_a_run_that_grows_goes_on_where_it_was(tmp_path: Path, make_client: Any, store: Store) -> None:
    """Events that came since, before and after, do not move the cursor."""
    client = make_client()
    early = caller()
    early.end = None
    early.columns = {name: column[:5] for name, column in early.columns.items()}
    early.attrs, early.remote_causes = {}, {}
    put_processes(store, tmp_path, early)
    first = get(client, limit=3)
    put_processes(store, tmp_path, caller(), callee())

    second = get(client, cursor=first["next_cursor"])

    assert refs(first) + refs(second) == ALL


def test_a_hundred_thousand_events_are_paged_at_once(tmp_path: Path, make_client: Any, store: Store) -> None:
    """What is worked out for a run is kept: a page takes no longer in the middle of many than of few."""
    client = make_client()
    process = Process(0xA1, service="shop")
    process.span("unused", trace=1)
    buy = process.span("buy", span_id=71)
    process.event(0, K.LIFE_SPAN_START, process.main, span=buy)
    for i in range(100_000):
        process.event(i, K.CUSTOM_EVENT, process.main, span=buy, arg=i)
    put_processes(store, tmp_path, process)
    get(client, limit=1)

    took: list[float] = []
    for seq in range(10_000, 90_000, 10_000):
        started = time.perf_counter()
        page = get(client, around=f"{A}:{seq}")
        took.append(time.perf_counter() - started)
        assert len(page["events"]) == 100
    assert page["total"] == 100_001

    # Measured: 6 ms. The best of several, because other tests run beside this one.
    assert min(took) < 0.1


def test_events_are_the_same_after_compaction(tmp_path: Path, make_client: Any, store: Store) -> None:
    """Whether they stand in chunks or in segments cannot be told from the answers."""
    write_recording(tmp_path / "made.clew", 3_000)
    put(store, tmp_path / "made.clew")
    client = make_client()
    runs = client.get("/api/v1/runs", params={"sort": "-events"}).json()["runs"]
    path = f"/api/v1/runs/{runs[0]['id']}"
    before = [client.get(path + part).json() for part in ("/events?limit=1000", "", "/tree", "/services")]

    written = compact(store)
    index_changed(store)
    fresh = make_client()

    assert len(written) == 1
    assert [fresh.get(path + part).json() for part in ("/events?limit=1000", "", "/tree", "/services")] == before
