"""Routes of runs, findings, services and SQL."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from benchmarks.synthetic import write_recording
from pydantic import BaseModel
from starlette.testclient import TestClient
from tests.support.recordings import WALL_NS, Process
from tests.support.stored import put, put_processes

from clew.analysis.runs import runs_of
from clew.analysis.timeline import timelines_of
from clew.convert.run_json import run_json
from clew.format.reader import open_recording
from clew.model.kinds import EventKind, Outcome, SpanKind, SpanRole
from clew.model.times import format_time
from clew.server import answers, sql
from clew.server.app import create_app
from clew.server.indexer import index_changed
from clew.server.settings import Settings
from clew.store import schema
from clew.store.store import Store

K = EventKind
BASE_URL = "http://127.0.0.1"
MakeClient = Callable[..., TestClient]
NOBODY = "0" * 32


def shop(
    name: str, *, process_id: int, trace: int, at_us: int = 0, took_us: int = 900, outcome: Outcome = Outcome.OK
) -> Process:
    """A process with one run."""
    process = Process(process_id, service="shop")
    process.span("unused")
    span = process.span(name, span_id=trace * 100, trace=trace, role=SpanRole.RUN)
    process.event(at_us, K.LIFE_SPAN_START, process.main, span=span)
    process.event(at_us + took_us, K.LIFE_SPAN_END, process.main, span=span, outcome=outcome)
    return process


def bank(*, trace: int) -> Process:
    """A process that answers a request of the run of that number, and fails."""
    process = Process(0xBB, service="bank", host="there", argv=["bank.py", "--port"], python="3.11.7")
    pay = process.span("POST /pay", span_id=7, parent_span_id=trace * 100, trace=trace, kind=SpanKind.SERVER)
    process.event(100, K.LIFE_SPAN_START, process.main, span=pay)
    attrs = {"type": "KeyError", "message": "x", "stack": [process.site(31, "pay")]}
    raised = process.event(150, K.ERROR_RAISED, process.main, span=pay, attrs=attrs)
    process.event(160, K.ERROR_UNHANDLED, process.main, span=pay, entity=process.main, cause=raised, attrs=attrs)
    process.event(500, K.LIFE_SPAN_END, process.main, span=pay, outcome=Outcome.FAILED)
    return process


def put_three(store: Store, folder: Path) -> dict[str, str]:
    """Put three runs into a store; return their ids by name."""
    put_processes(
        store, folder,
        shop("buy 100%", process_id=0xA1, trace=1, at_us=0, took_us=900),
        shop("sell_all", process_id=0xA2, trace=2, at_us=10, took_us=5_000, outcome=Outcome.FAILED),
        shop("Browse", process_id=0xA3, trace=3, at_us=20, took_us=70),
        bank(trace=1),
    )  # fmt: skip
    with store.engine.connect() as connection:
        return {row.name: row.run_id for row in connection.execute(sa.select(schema.runs))}


class Shared(NamedTuple):
    """What tests that only ask share: it takes longer to make than to ask."""

    client: TestClient
    runs: dict[str, str]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """A server with three runs that nobody changes."""
    folder = tmp_path_factory.mktemp("shared")
    with Store.open(str(folder / "store")) as store:
        runs = put_three(store, folder)
        app = create_app(store, settings=Settings(log_requests=False))
        with TestClient(app, base_url=BASE_URL, raise_server_exceptions=False, follow_redirects=False) as client:
            yield Shared(client, runs)


@pytest.fixture
def client(shared: Shared) -> TestClient:
    """A client of the shared server."""
    return shared.client


@pytest.fixture
def three(shared: Shared) -> dict[str, str]:
    """The ids of its runs by name."""
    return shared.runs


@pytest.fixture
def own_client(make_client: MakeClient) -> TestClient:
    """A client of a server of the test's own, on ``store``."""
    return make_client()


def get(client: TestClient, path: str, **parameters: Any) -> Any:
    response = client.get(f"/api/v1{path}", params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def names(client: TestClient, **parameters: Any) -> list[str]:
    return [run["name"] for run in get(client, "/runs", **parameters)["runs"]]


def error_of(client: TestClient, path: str, **parameters: Any) -> tuple[int, str]:
    response = client.get(f"/api/v1{path}", params=parameters)
    return response.status_code, response.json()["error"]["code"]


def test_the_list_tells_what_the_reference_says(client: TestClient, three: dict[str, str]) -> None:
    """Each run has the members of docs/reference/http.md, the latest first."""
    page = get(client, "/runs")

    assert [run["name"] for run in page["runs"]] == ["Browse", "sell_all", "buy 100%"]
    assert (page["total"], page["next_cursor"]) == (3, None)
    run = page["runs"][2]
    assert {name: run[name] for name in run if name not in ("revision", "health")} == {
        "id": three["buy 100%"], "name": "buy 100%", "service": "shop", "services": ["bank", "shop"], "environment": "",
        "process": f"{0xA1:016x}", "entry": "named", "status": "succeeded", "mode": "live",
        "started_at": format_time(WALL_NS), "duration_ns": 900_000, "events": 6, "errors": 1, "spans": 2, "processes": 2,
        "findings": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("status:failed", ["sell_all"]),
        ("-status:failed", ["Browse", "buy 100%"]),
        ("dur:>1ms", ["sell_all"]),
        ("dur:50us..1ms", ["Browse", "buy 100%"]),
        ("name:browse,SELL_ALL", ["Browse", "sell_all"]),
        ("name:b*", ["Browse", "buy 100%"]),
        ('"y 100%"', ["buy 100%"]),
        ("%", ["buy 100%"]),
        ("l_a", ["sell_all"]),
        ("b_y", []),
        ("BANK", ["buy 100%"]),
        (f"process:{0xBB:016x}", ["buy 100%"]),
        ("errors:>0", ["buy 100%"]),
        ("findings:1 events:6", ["buy 100%"]),
        ("since:2000-01-01", ["Browse", "sell_all", "buy 100%"]),
        ("since:2200-01-01", []),
        ("since:1s", []),
        ("entry:named mode:live service:shop", ["Browse", "sell_all", "buy 100%"]),
        ('env:"\'; drop table runs; --"', []),
        ('name:"\0"', []),
    ],
)
def test_filters_of_runs(client: TestClient, three: dict[str, str], filter: str, expected: list[str]) -> None:
    """Every field does what the reference says, and nothing of it is SQL."""
    assert names(client, filter=filter) == expected
    assert len(three) == 3


@pytest.mark.parametrize("sort", ["started", "duration", "events", "errors", "name", "service", "status"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_pages_hold_every_run_once(client: TestClient, three: dict[str, str], sort: str, sign: str) -> None:
    """One run a page, in each order: all of them come, none twice."""
    column = {"started": "started_at", "duration": "duration_ns"}.get(sort, sort)
    found: list[dict[str, Any]] = []
    cursor = None
    while not found or cursor is not None:
        page = get(client, "/runs", sort=sign + sort, limit=1, **({"cursor": cursor} if cursor else {}))
        assert page["total"] == 3
        found += page["runs"]
        cursor = page["next_cursor"]

    assert {run["id"] for run in found} == set(three.values())
    assert len(found) == 3
    values = [run[column] for run in found]
    assert values == sorted(values, reverse=sign == "-")


def test_a_cursor_survives_new_runs(own_client: TestClient, store: Store, tmp_path: Path) -> None:
    """A run that comes between two pages is neither in the way nor shown twice."""
    put_three(store, tmp_path)
    first = get(own_client, "/runs", limit=2)
    put_processes(store, tmp_path, shop("new", process_id=0xA9, trace=9, at_us=900_000))

    second = get(own_client, "/runs", limit=2, cursor=first["next_cursor"])

    assert [run["name"] for run in first["runs"] + second["runs"]] == ["Browse", "sell_all", "buy 100%"]
    assert second["total"] == 4


@pytest.mark.parametrize("cursor", ["x", "%00", "W10", "WyJydW5zIiwxLDJd", "bnVsbA", "é", "A" * 1999])
def test_a_cursor_that_nobody_gave_out_is_refused(client: TestClient, three: dict[str, str], cursor: str) -> None:
    """It is an error of the client, and says so."""
    assert error_of(client, "/runs", cursor=cursor) == (400, "cursor")


def test_a_cursor_of_another_list_is_refused(client: TestClient, three: dict[str, str]) -> None:
    """So is one of another order."""
    cursor = get(client, "/runs", limit=1)["next_cursor"]

    assert error_of(client, "/runs", cursor=cursor, sort="name") == (400, "cursor")
    assert error_of(client, "/findings", cursor=cursor) == (400, "cursor")
    assert error_of(client, f"/runs/{three['Browse']}/events", cursor=cursor) == (400, "cursor")


@pytest.mark.parametrize("path", ["", "/tree", "/events", "/services", f"/events/{'a' * 16}/1"])
def test_an_unknown_run_is_told(client: TestClient, path: str) -> None:
    """Every route below a run has the same error."""
    assert error_of(client, f"/runs/{NOBODY}{path}") == (404, "run-missing")


@pytest.mark.parametrize("run", ["x", "0" * 31, "A" * 32, "0" * 33, "..%2f..%2fetc%2fpasswd", "'; drop table runs"])
@pytest.mark.parametrize("path", ["", "/tree", "/events", "/services"])
def test_ids_of_a_wrong_shape_lead_nowhere(client: TestClient, run: str, path: str) -> None:
    """They are refused before anything is looked up."""
    status, code = error_of(client, f"/runs/{run}{path}")

    assert (status, code) in ((422, "parameter"), (404, "not-found"))


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"limit": 0}, "parameter"),
        ({"limit": 1001}, "parameter"),
        ({"sort": "x"}, "parameter"),
        ({"filter": "x" * 4001}, "parameter"),
        ({"filter": "dur:x"}, "filter"),
        ({"filter": "statu:x"}, "filter"),
    ],
)
def test_parameters_out_of_bounds(client: TestClient, parameters: dict[str, Any], code: str) -> None:
    """What cannot be meant is told, not guessed."""
    assert error_of(client, "/runs", **parameters)[1] == code


def test_a_run_in_detail(client: TestClient, three: dict[str, str]) -> None:
    """Its processes, on the clock of the run, and its findings."""
    detail = get(client, f"/runs/{three['buy 100%']}")["detail"]

    process = next(found for found in detail["processes"] if found["service"] == "bank")
    assert {name: process[name] for name in ("pid", "host", "python", "argv", "state", "exit", "signal", "parent")} == {
        "pid": 100, "host": "there", "python": "3.11.7", "argv": ["bank.py", "--port"], "state": "ended", "exit": None,
        "signal": None, "parent": None,
    }  # fmt: skip
    assert (process["start_ns"], process["duration_ns"], process["events"]) == (100_000, 400_000, 4)
    assert (process["retention"], process["hold"], process["problems"]) == ("dev", False, {})
    (finding,) = detail["findings"]
    assert (finding["kind"], finding["run"], finding["process"]) == (
        "unhandled-error", three["buy 100%"], f"{0xBB:016x}",
    )  # fmt: skip


def test_a_process_that_fell_silent_keeps_running_with_a_reason(
    own_client: TestClient, store: Store, tmp_path: Path
) -> None:
    """Nobody makes an end up for it."""
    process = shop("open", process_id=0xA5, trace=5)
    process.end = None
    process.columns = {name: column[:1] for name, column in process.columns.items()}
    put_processes(store, tmp_path, process)
    fresh = get(own_client, "/runs")["runs"][0]
    with store.write() as connection:
        connection.execute(sa.update(schema.processes).values(received_ns=time.time_ns() - 120_000_000_000))

    silent = get(own_client, "/runs")["runs"][0]

    assert (fresh["status"], fresh["health"]) == ("running", [])
    assert (silent["status"], [reason["reason"] for reason in silent["health"]]) == ("running", ["silent"])
    assert "nothing came from shop for 120 s" in silent["health"][0]["text"]


def test_the_tree_is_that_of_the_command_line(client: TestClient, three: dict[str, str]) -> None:
    """One document for both, with times from the start of the run; a span's alone on request."""
    tree = get(client, f"/runs/{three['buy 100%']}/tree")
    part = get(client, f"/runs/{three['buy 100%']}/tree", root=f"{7:016x}", everything=True)

    assert (tree["schema"], tree["run"]["name"], tree["run"]["start_ns"]) == ("clew.run/1", "buy 100%", 0)
    assert [child["name"] for child in tree["tree"]["children"]] == ["POST /pay"]
    assert (part["tree"]["name"], part["threshold_ns"]) == ("POST /pay", 0)
    assert error_of(client, f"/runs/{three['buy 100%']}/tree", root="f" * 16) == (404, "span-missing")
    assert error_of(client, f"/runs/{three['buy 100%']}/tree", root="../..")[0] == 422


def test_runs_of_a_recording_are_those_of_the_command_line(
    own_client: TestClient, store: Store, tmp_path: Path
) -> None:
    """What is stored has the same runs as the recording it came from."""
    write_recording(tmp_path / "made.clew", 5_000, processes=2)
    put(store, tmp_path / "made.clew")
    expected = {run.id: run_json(run) for run in runs_of(timelines_of(open_recording(tmp_path / "made.clew")))}

    found = get(own_client, "/runs", limit=1000)["runs"]

    same = ("id", "name", "status", "entry", "service", "process", "duration_ns", "events", "errors", "spans")
    assert {run["id"]: [run[name] for name in same] for run in found} == {
        id_: [run[name] for name in same] for id_, run in expected.items()
    }


def test_findings_are_listed_and_filtered(client: TestClient, three: dict[str, str]) -> None:
    """Each names its run; the filter knows its fields."""
    (finding,) = get(client, "/findings", filter="kind:unhandled-error severity:error KeyError")["findings"]

    assert finding["run"] == three["buy 100%"]
    assert finding["title"] == "KeyError: x was not handled in thread MainThread"
    assert get(client, "/findings", filter="-kind:unhandled-error")["findings"] == []
    assert get(client, "/findings", filter=f"run:{three['Browse']}")["findings"] == []
    assert error_of(client, "/findings", filter="severity:huge") == (400, "filter")


def test_findings_are_paged(own_client: TestClient, store: Store, tmp_path: Path) -> None:
    """Page by page every finding comes once."""
    put_three(store, tmp_path)
    with store.write() as connection:
        row = connection.execute(sa.select(schema.findings)).mappings().one()
        rows = [{**row, "id": None, "fingerprint": str(i)} for i in range(4)]
        connection.execute(schema.findings.insert(), [{k: v for k, v in r.items() if k != "id"} for r in rows])
    first = get(own_client, "/findings", limit=3)

    second = get(own_client, "/findings", limit=3, cursor=first["next_cursor"])

    assert (len(first["findings"]), len(second["findings"]), second["next_cursor"]) == (3, 2, None)


def test_services_of_a_run_and_of_all(client: TestClient, three: dict[str, str]) -> None:
    """Who called whom, for one run and over all that began since."""
    one = get(client, f"/runs/{three['buy 100%']}/services")
    every = get(client, "/services", since="2000-01-01")

    call = {"from": "shop", "to": "bank", "count": 1, "errors": 1, "median_ns": 400_000, "p95_ns": 400_000}
    assert one["calls"] == every["calls"] == [call]
    assert {service["name"]: (service["spans"], service["errors"]) for service in one["services"]} == {
        "bank": (1, 1), "shop": (1, 0),
    }  # fmt: skip
    assert {service["name"]: service["spans"] for service in every["services"]} == {"bank": 1, "shop": 3}
    assert get(client, "/services", since="1s") == {"services": [], "calls": []}
    assert error_of(client, "/services", since="yesterday") == (400, "filter")


def ask(client: TestClient, query: str, **more: Any) -> Any:
    return client.post("/api/v1/sql", json={"query": query, **more})


def test_sql_answers_within_limits(client: TestClient, three: dict[str, str]) -> None:
    """Rows with the names and types of their columns; a run narrows the tables; what is more is said."""
    every = ask(client, "select count(*) as n from events").json()
    one = ask(client, "select count(*) from events", run=three["Browse"]).json()
    cut = ask(client, "select * from range(5)", limit=2).json()

    assert (every["columns"], every["rows"]) == ([{"name": "n", "type": "BIGINT"}], [[10]])
    assert one["rows"] == [[2]]
    assert (cut["rows"], cut["truncated"], every["truncated"]) == ([[0], [1]], True, False)
    assert every["elapsed_ms"] > 0


def test_sql_writes_every_type_as_json(client: TestClient) -> None:
    """Numbers of any size, what is no number, times, lists, structures and bytes."""
    query = (
        "select 170141183460469231731687303715884105727::hugeint, 'nan'::double, [1, null], "
        "{'a': date '2026-01-01'}, '\\x01'::blob, timestamp '2026-01-01 00:00:01', 1.5::decimal(4, 2), chr(55)"
    )

    (row,) = ask(client, query).json()["rows"]

    assert row == [
        170141183460469231731687303715884105727, None, [1, None], {"a": "2026-01-01"}, "01", "2026-01-01T00:00:01",
        "1.50", "7",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"query": "drop table events"}, 400, "sql-read-only"),
        ({"query": "select * from read_csv('/etc/passwd')"}, 400, "sql-read-only"),
        ({"query": "select * from '/etc/passwd'"}, 400, "sql-read-only"),
        ({"query": "selec"}, 400, "sql"),
        ({"query": "select 1", "run": NOBODY}, 404, "run-missing"),
        ({"query": "select 1", "run": "x"}, 422, "parameter"),
        ({"query": "select 1", "limit": 10_001}, 422, "parameter"),
        ({"query": "x" * 100_001}, 422, "parameter"),
        ({"query": "select 1", "more": 1}, 422, "parameter"),
        ({}, 422, "parameter"),
    ],
)
def test_sql_refuses(client: TestClient, body: dict[str, Any], status: int, code: str) -> None:
    """Only one SELECT over the tables is answered."""
    response = client.post("/api/v1/sql", json=body)

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_sql_that_takes_too_long_is_stopped(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that would run for ever ends, and its turn is free again."""
    monkeypatch.setattr(sql, "TIMEOUT_S", 0.2)

    response = ask(client, "select count(*) from range(1000000000) a, range(1000000) b")

    assert (response.status_code, response.json()["error"]["code"]) == (400, "sql-timeout")
    assert ask(client, "select 1").status_code == 200


def test_sql_queries_wait_for_their_turn_and_no_longer(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """When as many run as may, the next is told to come again."""
    monkeypatch.setattr(sql, "PATIENCE_S", 0.01)
    for _ in range(sql.AT_ONCE):
        sql._TURNS.acquire()
    try:
        busy = ask(client, "select 1")
    finally:
        sql._TURNS.release(sql.AT_ONCE)

    assert (busy.status_code, busy.json()["error"]["code"], "Retry-After" in busy.headers) == (503, "sql-busy", True)
    assert ask(client, "select 1").status_code == 200


def test_sql_tables_are_described(own_client: TestClient) -> None:
    """Names and types of all columns, of a store that holds nothing yet too."""
    tables = {table["name"]: table["columns"] for table in get(own_client, "/sql/tables")["tables"]}

    assert {"processes", "runs", "spans", "events", "entities", "scopes", "sites", "edges", "findings"} <= set(tables)
    assert {"name": "t_ns", "type": "BIGINT"} in tables["events"]


def test_answers_are_what_the_document_says(client: TestClient, three: dict[str, str]) -> None:
    """Answers are not validated as they are sent: they fit their models, and have no member more."""
    run = three["buy 100%"]
    shapes: list[tuple[str, type[BaseModel]]] = [
        ("/runs", answers.Runs),
        (f"/runs/{run}", answers.WholeRun),
        (f"/runs/{run}/tree", answers.Tree),
        (f"/runs/{run}/events", answers.Events),
        (f"/runs/{run}/events/{0xBB:016x}/2", answers.WholeEvent),
        (f"/runs/{run}/services", answers.Services),
        ("/findings", answers.Findings),
        ("/sql/tables", answers.SqlTables),
    ]
    for path, model in shapes:
        said = get(client, path)
        assert model.model_validate(said).model_dump(by_alias=True) == said, path


def test_a_store_without_runs_has_empty_lists(own_client: TestClient, store: Store) -> None:
    """Nothing stored is no error."""
    assert index_changed(store) == 0
    assert get(own_client, "/runs") == {"runs": [], "next_cursor": None, "total": 0}
    assert get(own_client, "/findings") == {"findings": [], "next_cursor": None}
    assert json.loads(own_client.get("/api/v1/services").text) == {"services": [], "calls": []}
