"""SQL over what is stored: one statement that reads, within limits."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from clew.convert.stored_sql import open_surface, query
from clew.server.answers import Rows, SqlTables, json_response
from clew.server.auth import Role, require
from clew.server.context import Shared
from clew.server.errors import HttpError, no_run
from clew.store import run_list
from clew.store.surface import TABLES

if TYPE_CHECKING:
    from collections.abc import Generator

router = APIRouter(prefix="/api/v1", tags=["sql"], dependencies=[require(Role.VIEWER)])

TIMEOUT_S = 30.0
MEMORY_LIMIT = "1GB"
MAX_ROWS = 10_000
AT_ONCE = 4
"""Queries that run at one time: each may take ``MEMORY_LIMIT``."""
PATIENCE_S = 2.0
"""For how long one waits for its turn; longer would hold up a thread that other routes need."""
_TURNS = threading.BoundedSemaphore(AT_ONCE)


class Question(BaseModel):
    """What is asked."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[str, Field(max_length=100_000, description="One SELECT, see docs/reference/sql.md")]
    run: Annotated[
        str | None, Field(pattern="^[0-9a-f]{32}$", description="Narrows the tables to this run and its processes")
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_ROWS, description="Most rows that are returned")] = 1_000


@router.post("/sql", response_model=Rows)
def ask(context: Shared, question: Question) -> Response:
    """Answer one query."""
    if question.run is not None and run_list.find(context.store, question.run) is None:
        raise no_run(question.run)
    with turn():
        started = time.perf_counter()
        answer = query(
            context.store, question.query, run=question.run, limit=question.limit, timeout_s=TIMEOUT_S,
            memory_limit=MEMORY_LIMIT,
        )  # fmt: skip
        elapsed_ms = (time.perf_counter() - started) * 1e3
    columns = [{"name": name, "type": type_} for name, type_ in zip(answer.names, answer.types, strict=True)]
    rows = [[_plain(cell) for cell in row] for row in answer.rows]
    return json_response(
        {"columns": columns, "rows": rows, "truncated": answer.truncated, "elapsed_ms": round(elapsed_ms, 3)}
    )


@router.get("/sql/tables", response_model=SqlTables)
def list_tables(context: Shared) -> Response:
    """List the tables and their columns."""
    with open_surface(context.store, processes=()) as surface:
        tables = [
            {
                "name": name,
                "columns": [{"name": row[0], "type": row[1]} for row in surface.query(f"describe {name}").rows],
            }
            for name in TABLES  # names of clew's own
        ]
    return json_response({"tables": tables})


@contextmanager
def turn() -> Generator[None]:
    """Wait for the turn to ask the SQL surface.

    Raises:
        HttpError: Too many ask.
    """
    if not _TURNS.acquire(timeout=PATIENCE_S):
        raise HttpError(
            "sql-busy",
            f"{AT_ONCE} queries are being answered",
            "expected fewer",
            "ask again when they are done",
            status=503,
            retry_after_s=5,
        )
    try:
        yield
    finally:
        _TURNS.release()


def _plain(cell: Any) -> Any:
    """Return a cell as JSON has it: times as ISO 8601, anything unusual as text."""
    if cell is None or isinstance(cell, bool | int | str):
        return cell
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, list | tuple):
        return [_plain(part) for part in cast("list[Any]", cell)]
    if isinstance(cell, dict):
        return {str(name): _plain(part) for name, part in cast("dict[Any, Any]", cell).items()}
    if isinstance(cell, bytes):
        return cell.hex()
    if hasattr(cell, "isoformat"):
        return cell.isoformat()
    return str(cell)
