"""Which processes does one open to look at a run?

Those that have a part of it, and, for the run of a process, also the recorded ones that it
started, and those started by these: what they did in runs of their own was done for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import or_, select

from clew.store import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from clew.store.store import Store

MAX_PROCESSES = 1000
"""Most that are opened for one run."""
_AT_ONCE = 100


class RunProcesses(NamedTuple):
    """A run of the catalog, and its processes."""

    run: Mapping[str, Any]
    process_ids: tuple[str, ...]
    """By their start."""
    revision: int
    """Of the latest change to the run or any of them."""


def processes_of_run(store: Store, run_id: str) -> RunProcesses | None:
    """Return a run and its processes, None if there is no such run.

    Args:
        store: Where.
        run_id: 32 hexadecimal digits.
    """
    with store.engine.connect() as connection:
        run = connection.execute(select(schema.runs).where(schema.runs.c.run_id == run_id)).mappings().first()
        if run is None:
            return None
        part = schema.run_parts.c
        found = set(connection.execute(select(part.process_id).where(part.run_id == run_id)).scalars())
        if run["entry"] == "process":
            _add_children(connection, found)
        table = schema.processes.c
        known: list[tuple[int, str, int]] = []
        ids = sorted(found)[:MAX_PROCESSES]
        for start in range(0, len(ids), _AT_ONCE):
            statement = select(table.head, table.process_id, table.revision).where(
                table.process_id.in_(ids[start : start + _AT_ONCE]), table.deleted_ns.is_(None)
            )
            known += [
                (json.loads(head).get("wall_ns") or 0, id_, rev) for head, id_, rev in connection.execute(statement)
            ]
    known.sort()
    revision = max([int(run["revision"]), *(revision for _, _, revision in known)])
    return RunProcesses(dict(run), tuple(process_id for _, process_id, _ in known), revision)


def _add_children(connection: Connection, found: set[str]) -> None:
    """Add the processes that those in *found* started, and so on."""
    table = schema.processes.c
    fresh = set(found)
    while fresh and len(found) < MAX_PROCESSES:
        parents, fresh = sorted(fresh), set[str]()
        for start in range(0, len(parents), _AT_ONCE):
            # The head is JSON without an index into it; few processes are asked for in a round.
            some = parents[start : start + _AT_ONCE]
            likely = or_(*(table.head.contains(f'"{parent}"') for parent in some))
            for process_id, head in connection.execute(select(table.process_id, table.head).where(likely)):
                parent: Any = json.loads(head).get("parent")
                if isinstance(parent, list) and parent and parent[0] in found and process_id not in found:
                    fresh.add(process_id)
        found |= fresh
