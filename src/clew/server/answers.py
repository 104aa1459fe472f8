"""The shapes of what is answered about runs, for the OpenAPI document and the page's types.

What the members mean stands in docs/reference/http.md. Long lists are encoded without going
through these: a test holds the two against each other.
"""

from __future__ import annotations

import json
import math
from typing import Any, cast

import msgspec
from pydantic import BaseModel
from starlette.responses import Response


def json_response(value: Any) -> Response:
    """Encode an answer, ten times as fast as by validating it first."""
    try:
        body = msgspec.json.encode(value)
    except (OverflowError, UnicodeEncodeError):
        # What programs say of themselves may hold numbers of any size, and half a surrogate pair.
        body = json.dumps(_finite(value)).encode()
    return Response(body, media_type="application/json")


def _finite(value: Any) -> Any:
    """Return *value* without numbers that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_finite(part) for part in cast("list[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Reason(BaseModel):
    """Why a run is incomplete."""

    reason: str
    text: str


class Run(BaseModel):
    """A run, as lists have it."""

    id: str
    name: str
    service: str
    services: list[str]
    environment: str
    process: str
    entry: str
    status: str
    mode: str
    started_at: str
    duration_ns: int
    events: int
    errors: int
    spans: int
    processes: int
    findings: int
    health: list[Reason]
    revision: int


class Runs(BaseModel):
    """A page of runs."""

    runs: list[Run]
    next_cursor: str | None
    total: int


class Place(BaseModel):
    """A place in the code."""

    file: str
    line: int
    function: str


class Subject(BaseModel):
    """An entity that a finding is about."""

    type: str
    kind: str
    id: str
    name: str
    process: str
    role: str
    site: Place | None


class Finding(BaseModel):
    """Something that is wrong."""

    kind: str
    severity: str
    confidence: str
    title: str
    explanation: str
    advice: str
    fingerprint: str
    occurrences: int
    subjects: list[Subject]
    evidence: list[dict[str, Any]]
    witness: dict[str, Any] | None


class RunFinding(Finding):
    """A finding, and the run it was found in."""

    run: str | None
    process: str


class Findings(BaseModel):
    """A page of findings."""

    findings: list[RunFinding]
    next_cursor: str | None


class Process(BaseModel):
    """A process that has a part in a run."""

    process: str
    service: str
    label: str
    pid: int
    host: str
    python: str
    argv: list[str]
    state: str
    exit: int | None
    signal: str | None
    start_ns: int
    duration_ns: int
    events: int
    dropped: int
    tasks: int
    threads: int
    parent: str | None
    problems: dict[str, str]
    retention: str
    hold: bool


class RunDetail(BaseModel):
    """What is told of one run only."""

    processes: list[Process]
    findings: list[RunFinding]


class WholeRun(Run):
    """A run with its detail."""

    detail: RunDetail


class Woken(BaseModel):
    """Who ended a wait or cancelled a task."""

    how: str
    scope: str
    did: str
    service: str
    site: str
    at_ns: int


class TreeNode(BaseModel):
    """One line of a run as a tree."""

    kind: str
    name: str
    detail: str
    process: str
    service: str
    seq: int
    start_ns: int
    duration_ns: int | None
    outcome: str
    site: str
    ran_ns: int | None
    longest_ns: int | None
    ready_ns: int | None
    waited_ns: int | None
    run: str | None
    woken_by: Woken | None
    count: int
    total_ns: int
    first_ns: int
    omitted: int
    children: list[TreeNode]


class TreeRun(BaseModel):
    """A run, as its tree has it."""

    id: str
    name: str
    status: str
    entry: str
    service: str
    process: str
    start_ns: int
    duration_ns: int
    events: int
    errors: int
    spans: int


class Tree(BaseModel):
    """A run as a tree: ``clew.run/1``."""

    schema_: str
    run: TreeRun
    threshold_ns: int
    items: int
    tree: TreeNode

    model_config = {"alias_generator": lambda name: name.rstrip("_"), "populate_by_name": True}


class Ref(BaseModel):
    """An event."""

    process: str
    seq: int


class Event(BaseModel):
    """An event of a run."""

    process: str
    service: str
    seq: int
    t_ns: int
    kind: str
    op: str | None
    outcome: str | None
    scope: str | None
    scope_id: int | None
    entity: str | None
    entity_kind: str | None
    entity_id: int | None
    run: str | None
    span: str | None
    span_id: int | None
    file: str | None
    line: int | None
    function: str | None
    wait_ns: int
    duration_ns: int | None
    arg: int
    cause: Ref | None
    attrs: dict[str, Any] | None


class Events(BaseModel):
    """A page of events, by time."""

    events: list[Event]
    next_cursor: str | None
    previous_cursor: str | None
    total: int


class Frame(BaseModel):
    """A frame of a stack."""

    file: str
    line: int
    function: str
    site: int


class Error(BaseModel):
    """An error that another one followed from, or that a group holds."""

    type: str
    message: str
    relation: str
    stack: list[Frame]


class Scope(BaseModel):
    """Where something ran."""

    entity_id: int
    kind: str
    name: str


class Effect(BaseModel):
    """An event that another one enabled."""

    process: str
    seq: int
    t_ns: int
    kind: str
    scope: str
    text: str


class EventDetail(BaseModel):
    """What is told of one event only."""

    at: str
    text: str
    site_id: int | None
    stack: list[Frame]
    chain: list[Error]
    scope_path: list[Scope]
    artifacts: list[str]
    effects: list[Effect]


class WholeEvent(Event):
    """An event with its detail."""

    detail: EventDetail


class Service(BaseModel):
    """A service, and what it did for others."""

    name: str
    spans: int
    errors: int
    median_ns: int
    p95_ns: int


class Call(BaseModel):
    """How one service called another."""

    from_: str
    to: str
    count: int
    errors: int
    median_ns: int
    p95_ns: int

    model_config = {"alias_generator": lambda name: name.rstrip("_"), "populate_by_name": True}


class Services(BaseModel):
    """Services and the calls between them."""

    services: list[Service]
    calls: list[Call]


class SqlColumn(BaseModel):
    """A column."""

    name: str
    type: str


class Rows(BaseModel):
    """The answer to a query."""

    columns: list[SqlColumn]
    rows: list[list[Any]]
    truncated: bool
    elapsed_ms: float


class SqlTable(BaseModel):
    """A table that can be asked."""

    name: str
    columns: list[SqlColumn]


class SqlTables(BaseModel):
    """All of them."""

    tables: list[SqlTable]
