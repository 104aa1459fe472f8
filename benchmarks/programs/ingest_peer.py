"""What others would write to take JSON events in.

Usage: ingest_peer.py fastapi|msgspec PORT DATABASE

fastapi: FastAPI, a pydantic model of the body, SQLite's executemany, a commit before the answer.
msgspec: bare ASGI on uvicorn, msgspec decodes into structs, nothing is kept: an upper bound.
"""

import json
import sqlite3
import sys
from typing import Any

import uvicorn


def fastapi_app(database):
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Entity(BaseModel):
        kind: str
        name: str

    class Site(BaseModel):
        file: str
        line: int
        function: str

    class Event(BaseModel):
        seq: int
        t_ns: int
        kind: str
        scope: str = ""
        entity: Entity | None = None
        op: str = ""
        outcome: str = ""
        site: Site | None = None
        cause: int = 0
        wait_ns: int = 0
        attrs: dict[str, Any] = {}

    class Process(BaseModel):
        id: str
        service: str = ""
        pid: int = 0
        wall_ns: int = 0

    class Batch(BaseModel):
        process: Process
        events: list[Event]

    connection = sqlite3.connect(database, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE events (process TEXT, seq INTEGER, t_ns INTEGER, kind TEXT, scope TEXT, entity TEXT, op TEXT, "
        "outcome TEXT, file TEXT, line INTEGER, function TEXT, cause INTEGER, wait_ns INTEGER, attrs TEXT, "
        "PRIMARY KEY (process, seq)) WITHOUT ROWID"
    )
    app = FastAPI()

    @app.post("/api/v1/events")
    async def take(batch: Batch):
        rows = [
            (
                batch.process.id, e.seq, e.t_ns, e.kind, e.scope, e.entity.name if e.entity else "", e.op, e.outcome,
                e.site.file if e.site else "", e.site.line if e.site else 0, e.site.function if e.site else "",
                e.cause, e.wait_ns, json.dumps(e.attrs),
            )
            for e in batch.events
        ]  # fmt: skip
        with connection:
            connection.executemany(f"INSERT OR IGNORE INTO events VALUES ({','.join('?' * 14)})", rows)
        return {"accepted": len(rows)}

    return app


def msgspec_app():
    import msgspec

    class Entity(msgspec.Struct):
        kind: str
        name: str

    class Site(msgspec.Struct):
        file: str
        line: int
        function: str

    class Event(msgspec.Struct):
        seq: int
        t_ns: int
        kind: str
        scope: str = ""
        entity: Entity | None = None
        op: str = ""
        outcome: str = ""
        site: Site | None = None
        cause: int = 0
        wait_ns: int = 0
        attrs: msgspec.Raw = msgspec.Raw(b"{}")

    class Batch(msgspec.Struct):
        process: dict[str, Any]
        events: list[Event]

    decoder = msgspec.json.Decoder(Batch)

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        pieces = []
        while True:
            message = await receive()
            pieces.append(message["body"])
            if not message["more_body"]:
                break
        batch = decoder.decode(b"".join(pieces))
        body = json.dumps({"accepted": len(batch.events)}).encode()
        head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    return app


def main():
    kind, port, database = sys.argv[1:]
    app = fastapi_app(database) if kind == "fastapi" else msgspec_app()
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
