"""Serve the built page with answers made from one recording, without a store.

    PYTHONPATH=src .venv/bin/python web/tools/mock.py RECORDING [--port 7780] [--copies 1000] [--key KEY] [--grow]

For work on the page alone. Filters know ``field:value`` and free text and no more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from clew.analysis.findings import unhandled_errors
from clew.analysis.run_tree import run_tree
from clew.analysis.runs import runs_of
from clew.analysis.summary import processes_of
from clew.analysis.timeline import timelines_of
from clew.cli.show_run import run_tree_json
from clew.convert.arrow import TABLES, tables_of
from clew.format.reader import open_recording
from clew.store.sql import query

STATIC = Path(__file__).parents[2] / "src/clew/server/static"
WALL_NS = 1_795_778_385_123_456_789


def stamp(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ns % 10**9:09d}Z"


class Bank:
    """One recording, as the server would tell it."""

    def __init__(self, path: str, copies: int) -> None:
        recording = open_recording(path)
        self.timelines = timelines_of(recording)
        self.runs = runs_of(self.timelines)
        self.tables = tables_of(self.timelines, TABLES)
        self.events = self.tables["events"].to_pylist()
        self.events.sort(key=lambda e: (e["t_ns"], e["process"], e["seq"]))
        self.position = {(e["process"], e["seq"]): i for i, e in enumerate(self.events)}
        self.findings = [f.to_json() for f in unhandled_errors(recording)]
        self.processes = processes_of(self.timelines)
        self.by_id = {run.id: run for run in self.runs}
        self.rows = sorted((self.run_json(r) for r in self.runs), key=lambda r: r["started_at"], reverse=True)
        for copy in range(1, copies):
            for row in self.rows[: len(self.runs)]:
                text = f"{copy:08x}{row['id'][8:]}"
                self.rows.append({**row, "id": text, "started_at": stamp(WALL_NS - copy * 60 * 10**9)})
        self.revision = 1

    def run_json(self, run: Any) -> dict[str, Any]:
        services = sorted({self.timelines[s.process].service for s in run.spans})
        findings = len(self.findings) if run.entry == "process" else 0
        health = [{"reason": "dropped-events", "text": "12 events of bank.app were dropped: its buffer was full"}]
        return {
            "id": run.id, "name": run.name, "service": run.service, "services": services, "environment": "dev",
            "process": run.process, "entry": run.entry, "status": run.status, "mode": "live",
            "started_at": stamp(WALL_NS + run.start_ns), "duration_ns": run.duration_ns, "events": run.events,
            "errors": run.errors, "spans": run.spans if isinstance(run.spans, int) else len(run.spans),
            "processes": len(services), "findings": findings, "revision": 1,
            "health": health if run.entry == "process" else [],
        }  # fmt: skip

    def of_run(self, run_id: str) -> Any:
        return self.by_id.get(run_id) or next((r for r in self.runs if r.id[8:] == run_id[8:]), None)

    def run_events(self, run: Any) -> list[dict[str, Any]]:
        if run.entry == "process":
            return self.events
        return [e for e in self.events if e["run"] == run.id]

    def event_json(self, event: dict[str, Any], zero: int) -> dict[str, Any]:
        found = {k: v for k, v in event.items() if k not in ("at", "cause_process")}
        found["t_ns"] = event["t_ns"] - zero
        cause = event["cause"]
        found["cause"] = {"process": event["cause_process"] or event["process"], "seq": cause} if cause else None
        found["attrs"] = json.loads(event["attrs"]) if isinstance(event["attrs"], str) else event["attrs"]
        return found

    def text(self, e: dict[str, Any]) -> str:
        verb = e["kind"].partition(".")[2].replace("_", " ")
        return f"{e['scope'] or 'the process'}: {verb} {e['entity'] or e['span'] or ''}".strip()

    def thread(self, start: dict[str, Any], zero: int) -> dict[str, Any]:
        chain, at, how = [], start, [None]
        while len(chain) < 60:
            chain.append(at)
            key = (at["cause_process"] or at["process"], at["cause"]) if at["cause"] else None
            if key in self.position:
                how.append("remote" if key[0] != at["process"] else "wake")
                at = self.events[self.position[key]]
                continue
            i = self.position[at["process"], at["seq"]] - 1
            while i >= 0 and (self.events[i]["process"], self.events[i]["scope_id"]) != (at["process"], at["scope_id"]):
                i -= 1
            if i < 0:
                break
            how.append("program-order")
            at = self.events[i]
        chain.reverse()
        steps = [
            {
                **{k: e[k] for k in ("process", "service", "seq", "kind", "op", "scope", "scope_id", "entity", "file", "line",
                                     "function")},
                "t_ns": e["t_ns"] - zero, "until_ns": None, "text": self.text(e), "how": h, "block": None,
                "waited_ns": None if n is None else n["t_ns"] - e["t_ns"],
            }
            for e, h, n in zip(chain, reversed(how[: len(chain)]), [*chain[1:], None], strict=True)
        ]  # fmt: skip
        return {"steps": steps, "truncated": len(chain) == 60, "begins": "process-start"}

    def services(self) -> dict[str, Any]:
        spans = self.tables["spans"].to_pylist()
        by_id = {s["id"]: s for s in spans}
        rows: dict[str, list[dict[str, Any]]] = {}
        calls: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for s in spans:
            if s["kind"] == "server":
                rows.setdefault(s["service"], []).append(s)
            above = by_id.get(s["parent_id"])
            if above and above["service"] != s["service"]:
                calls.setdefault((above["service"], s["service"]), []).append(s)
            rows.setdefault(s["service"], [])

        def numbers(found: list[dict[str, Any]]) -> dict[str, int]:
            took = sorted(s["duration_ns"] for s in found) or [0]
            bad = sum(s["outcome"] == "failed" for s in found)
            return {"errors": bad, "median_ns": took[len(took) // 2], "p95_ns": took[int(len(took) * 0.95)]}

        return {
            "services": [{"name": n, "spans": len(f), **numbers(f)} for n, f in sorted(rows.items())],
            "calls": [{"from": a, "to": b, "count": len(f), **numbers(f)} for (a, b), f in sorted(calls.items())],
        }


class BadFilter(Exception):
    """A filter the mock does not know."""


def holds(row: dict[str, Any], text: str) -> bool:
    for word in text.split():
        negated, word = word.startswith("-"), word.lstrip("-")
        field, colon, value = word.partition(":")
        if colon:
            field = {"env": "environment"}.get(field, field)
            if field in ("has",):
                ok = bool(row.get("cause")) if value == "cause" else "error" in row["kind"]
            elif field not in row:
                raise BadFilter(field)
            elif value.startswith(">"):
                ok = (row[field] or 0) > float(value[1:])
            else:
                ok = any(str(row[field] or "").startswith(v.rstrip("*")) for v in value.split(","))
        else:
            ok = any(
                word.lower() in str(row.get(k) or "").lower()
                for k in ("name", "scope", "entity", "kind", "span", "title")
            )
        if ok == negated:
            return False
    return True


def refuse(status: int, code: str, message: str, **details: Any) -> JSONResponse:
    body = {
        "error": {"code": code, "message": message, "details": details, "retryable": "no"},
        "request_id": "mock-0001",
    }
    return JSONResponse(body, status, headers={"X-Request-Id": "mock-0001"})


def filtered(rows: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    return [row for row in rows if holds(row, text)] if text else rows


def bad_field(text: str, error: BadFilter) -> JSONResponse:
    at = text.find(f"{error}:")
    message = f"The filter has the field {str(error)!r} at character {at + 1}; known: service, status, name, dur. Use one of them."
    return refuse(400, "unknown-field", message, position=at, length=len(str(error)))


def routes(bank: Bank, key: str) -> list[Route]:
    def guarded(answer: Any) -> Any:
        async def endpoint(request: Any) -> Response:
            if key and request.headers.get("Authorization") != f"Bearer {key}":
                return refuse(
                    401, "key-missing", "The request has no key; this server wants one. Make one with 'clew keys add'."
                )
            return await asyncio.to_thread(answer, request)

        return endpoint

    def runs(request: Any) -> Response:
        q = request.query_params
        try:
            rows = filtered(bank.rows, q.get("filter", ""))
        except BadFilter as error:
            return bad_field(q["filter"], error)
        sort = q.get("sort", "-started")
        field = {"started": "started_at", "duration": "duration_ns"}.get(sort.lstrip("-"), sort.lstrip("-"))
        rows = sorted(rows, key=lambda r: r[field], reverse=sort.startswith("-"))
        at, limit = int(q.get("cursor", 0)), int(q.get("limit", 100))
        after = str(at + limit) if at + limit < len(rows) else None
        return JSONResponse({"runs": rows[at : at + limit], "next_cursor": after, "total": len(rows)})

    def run(request: Any) -> Response:
        found = bank.of_run(request.path_params["run"])
        if found is None:
            return refuse(404, "no-run", f"No run has the id {request.path_params['run']}; 'clew ls' lists them.")
        zero = found.start_ns
        processes = [
            {"process": p.process, "service": p.service, "label": p.label, "pid": p.pid, "host": "here", "python": p.python,
             "argv": list(p.argv), "state": p.state, "exit": p.exit, "signal": p.signal, "start_ns": p.start_ns - zero,
             "duration_ns": p.duration_ns, "events": p.events, "dropped": p.dropped, "tasks": p.tasks, "threads": p.threads,
             "parent": None, "problems": {}, "retention": "dev", "hold": False}
            for p in bank.processes
        ]  # fmt: skip
        row = {**bank.run_json(found), "id": request.path_params["run"]}
        return JSONResponse(
            {**row, "detail": {"processes": processes, "findings": bank.findings if row["findings"] else []}}
        )

    def tree(request: Any) -> Response:
        found = bank.of_run(request.path_params["run"])
        everything = request.query_params.get("everything") == "true"
        return JSONResponse(run_tree_json(found, run_tree(found, bank.timelines, everything=everything)))

    def events(request: Any) -> Response:
        q, found = request.query_params, bank.of_run(request.path_params["run"])
        try:
            rows = filtered(bank.run_events(found), q.get("filter", ""))
        except BadFilter as error:
            return bad_field(q["filter"], error)
        limit, at = int(q.get("limit", 100)), int(q.get("cursor", 0))
        if "around" in q:
            process, _, seq = q["around"].partition(":")
            places = [i for i, e in enumerate(rows) if (e["process"], e["seq"]) == (process, int(seq))]
            at = max((places or [0])[0] - limit // 2, 0)
        page = rows[at : at + limit]
        return JSONResponse({
            "events": [bank.event_json(e, found.start_ns) for e in page], "total": len(rows),
            "next_cursor": str(at + limit) if at + limit < len(rows) else None,
            "previous_cursor": str(max(at - limit, 0)) if at > 0 else None,
        })  # fmt: skip

    def one(request: Any) -> tuple[Any, dict[str, Any]] | None:
        p = request.path_params
        at = bank.position.get((p["process"], int(p["seq"])))
        return None if at is None else (bank.of_run(p["run"]), bank.events[at])

    def event(request: Any) -> Response:
        asked = one(request)
        if asked is None:
            return refuse(404, "no-event", "No such event.")
        found, e = asked
        effects = [
            x for x in bank.events if x["cause"] == e["seq"] and (x["cause_process"] or x["process"]) == e["process"]
        ]
        frame = {
            "file": e["file"] or "bank/app.py",
            "line": e["line"] or 1,
            "function": e["function"] or "main",
            "site": 1,
        }
        detail = {
            "at": stamp(WALL_NS + e["t_ns"]), "text": bank.text(e), "site_id": 1, "chain": [],
            "stack": [frame, {**frame, "function": "handle", "line": 12}],
            "scope_path": [{"entity_id": 1, "kind": "process", "name": e["service"]},
                           {"entity_id": e["scope_id"] or 2, "kind": "task", "name": e["scope"] or "MainThread"}],
            "artifacts": [], "effects": [
                {"process": x["process"], "seq": x["seq"], "t_ns": x["t_ns"] - found.start_ns, "kind": x["kind"],
                 "scope": x["scope"], "text": bank.text(x)} for x in effects[:50]],
        }  # fmt: skip
        return JSONResponse({**bank.event_json(e, found.start_ns), "detail": detail})

    def thread(request: Any) -> Response:
        asked = one(request)
        return (
            refuse(404, "no-event", "No such event.")
            if asked is None
            else JSONResponse(bank.thread(asked[1], asked[0].start_ns))
        )

    def source(request: Any) -> Response:
        lines = ["async def transfer(self, owner, other, amount):", "    async with owner.lock:", "        async with other.lock:",
                 "            await self.book(owner, -amount)", "            await self.book(other, amount)"]  # fmt: skip
        return JSONResponse({"file": "bank/accounts.py", "first_line": 29, "lines": lines, "line": 31})

    def findings(request: Any) -> Response:
        main = next(r for r in bank.rows if r["entry"] == "process")
        rows = [{**f, "run": main["id"]} for f in bank.findings]
        return JSONResponse({"findings": filtered(rows, request.query_params.get("filter", "")), "next_cursor": None})

    async def sql(request: Any) -> Response:
        asked, began = await request.json(), time.monotonic()
        try:
            names, rows = query(bank.tables, asked["query"])
        except Exception as error:
            return refuse(400, "sql-error", str(error))
        limit = asked.get("limit") or 1000
        cells = [[c if isinstance(c, int | float | str | bool | None) else str(c) for c in row] for row in rows[:limit]]
        columns = [
            {"name": n, "type": "BIGINT" if cells and isinstance(cells[0][i], int) else "VARCHAR"}
            for i, n in enumerate(names)
        ]
        took = int((time.monotonic() - began) * 1000)
        return JSONResponse({"columns": columns, "rows": cells, "truncated": len(rows) > limit, "elapsed_ms": took})

    def tables(request: Any) -> Response:
        return JSONResponse(
            {
                "tables": [
                    {"name": n, "columns": [{"name": f.name, "type": str(f.type)} for f in t.schema]}
                    for n, t in bank.tables.items()
                ]
            }
        )

    async def live(request: Any) -> Response:
        async def stream() -> Any:
            yield f"event: hello\nid: {bank.revision}\ndata: {json.dumps({'revision': bank.revision})}\n\n"
            seen = bank.revision
            while True:
                await asyncio.sleep(0.25)
                if bank.revision > seen:
                    seen = bank.revision
                    change = {
                        "revision": seen,
                        "runs": [r["id"] for r in bank.rows[:1]],
                        "processes": [],
                        "total": len(bank.rows),
                    }
                    yield f"event: change\nid: {seen}\ndata: {json.dumps(change)}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    def server(request: Any) -> Response:
        store = {"catalog": "sqlite", "blobs": "folder"}
        return JSONResponse({"version": "0.1.0", "role": "admin", "store": store, "keys_required": bool(key), "time": stamp(time.time_ns()),
                             "features": []})  # fmt: skip

    def services(request: Any) -> Response:
        return JSONResponse(bank.services())

    async def page(request: Any) -> Response:
        file = STATIC / request.path_params["path"]
        return FileResponse(file if file.is_file() else STATIC / "index.html")

    api = [
        ("server", server), ("runs", runs), ("runs/{run}", run), ("runs/{run}/tree", tree), ("runs/{run}/events", events),
        ("runs/{run}/events/{process}/{seq}", event), ("runs/{run}/events/{process}/{seq}/thread", thread),
        ("runs/{run}/source/{process}/{site}", source), ("runs/{run}/services", services), ("services", services),
        ("findings", findings), ("sql/tables", tables),
    ]  # fmt: skip
    found = [Route(f"/api/v1/{path}", guarded(answer)) for path, answer in api]
    return [
        *found,
        Route("/api/v1/sql", sql, methods=["POST"]),
        Route("/api/v1/live", live),
        Route("/{path:path}", page),
    ]


async def grow(bank: Bank) -> None:
    """Let a run begin every two seconds."""
    for n in range(10**6):
        await asyncio.sleep(2)
        like = bank.rows[-1 - n % 20]
        fresh = {**like, "id": f"{time.time_ns():032x}", "started_at": stamp(time.time_ns()), "status": "running"}
        bank.rows.insert(0, fresh)
        bank.revision += 1


async def serve(args: argparse.Namespace) -> None:
    bank = Bank(args.recording, args.copies)
    config = uvicorn.Config(Starlette(routes=routes(bank, args.key)), port=args.port, log_level="warning")
    growing = asyncio.create_task(grow(bank)) if args.grow else None
    await uvicorn.Server(config).serve()
    if growing is not None:
        growing.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording")
    parser.add_argument("--port", type=int, default=7780)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--key", default="")
    parser.add_argument("--grow", action="store_true")
    asyncio.run(serve(parser.parse_args()))
