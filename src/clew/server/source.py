"""Lines of the program around a place that a recording names.

A recording comes from anybody who may send; what it says of files must not open this
machine's files to whoever may look. So lines are given out only by a server that nobody but
this machine reaches, of a file that ends in ``.py`` and is an ordinary one, for a place in a
process of this host, and only while the file is older than the process: else the lines may
be other ones than those that ran.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query

from clew.server.auth import Role, require
from clew.server.context import Shared
from clew.server.errors import HttpError
from clew.server.timeline import ProcessId, RunId

if TYPE_CHECKING:
    from clew.analysis.timeline import ProcessTimeline
    from clew.server.library import RunView

router = APIRouter(prefix="/api/v1", tags=["runs"])

MAX_CONTEXT = 20
"""Most lines before and after the one that was asked for."""
MAX_BYTES = 4 << 20
"""A longer file is no source that anybody reads."""


@router.get("/runs/{run}/source/{process}/{site}", dependencies=[require(Role.VIEWER)])
def get(
    context: Shared,
    run: RunId,
    process: ProcessId,
    site: Annotated[int, Path(ge=1, lt=1 << 32)],
    lines: Annotated[int, Query(ge=0, le=MAX_CONTEXT, description="How many before and after")] = MAX_CONTEXT,
) -> dict[str, Any]:
    """Return the lines around a site of a process."""
    if not context.is_loopback:
        raise _refused("this server is reachable from other machines", "source is shown by a loopback server only")
    timeline = timeline_of(context.library.timelines(run), process)
    row = timeline.data.sites.get(site)
    if row is None:
        raise HttpError(
            "site-missing", f"process {process} has no site {site}", "expected one of its sites",
            "take site_id from an event of that process", status=404,
        )  # fmt: skip
    return source_around(timeline, str(row[1]), int(row[2]), lines)


def timeline_of(view: RunView, process: str) -> ProcessTimeline:
    """Return a process of a run.

    Raises:
        HttpError: It has no part in the run.
    """
    position = view.positions.get(process)
    if position is None:
        raise HttpError(
            "process-missing", f"process {process} has no part in run {view.run_id}", "expected one of its processes",
            "take it from an event of the run", status=404,
        )  # fmt: skip
    return view.timelines[position]


def source_around(timeline: ProcessTimeline, file: str, line: int, context: int) -> dict[str, Any]:
    """Return the lines of *file* around *line*, if they are those that *timeline* ran.

    Raises:
        HttpError: They are not to be shown, or not there.
    """
    head = timeline.stream.process
    if head.get("host") != socket.gethostname():
        raise _refused(f"the process ran on host {head.get('host')!r}", f"this is {socket.gethostname()!r}")
    path = FilePath(file)
    if not path.is_absolute():
        path = FilePath(str(head.get("cwd") or "/")) / path
    if path.suffix != ".py" or not path.is_absolute():
        raise _refused(f"{file} is no Python source", "expected a file that ends in .py")
    wall_ns = head.get("wall_ns")
    text = _read(path, wall_ns if type(wall_ns) is int else 0)
    all_lines = text.splitlines()
    if not 1 <= line <= len(all_lines):
        raise _refused(f"{file} has {len(all_lines)} lines, not line {line}", "expected the file that ran")
    first = max(line - context, 1)
    return {"file": str(path), "first_line": first, "lines": all_lines[first - 1 : line + context], "line": line}


def _read(path: FilePath, started_ns: int) -> str:
    """Read a file that is an ordinary one, and older than the process that began at *started_ns*."""
    try:
        # What a link leads to is checked, not the link: os.fstat of what was opened.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _refused(f"{path} cannot be read", f"expected a readable file ({type(error).__name__})") from None
    with os.fdopen(descriptor, "rb") as opened:
        known = os.fstat(opened.fileno())
        if not stat.S_ISREG(known.st_mode) or known.st_size > MAX_BYTES:
            raise _refused(f"{path} is no ordinary source file", f"expected a file of at most {MAX_BYTES} bytes")
        if FilePath(f"/proc/self/fd/{opened.fileno()}").resolve().suffix != ".py":
            raise _refused(f"{path} is a link to something else", "expected a file that ends in .py")
        if known.st_mtime_ns > started_ns:
            raise _refused(f"{path} was changed after the process began", "expected the lines that ran")
        return opened.read(MAX_BYTES).decode("utf-8", "replace")


def _refused(found: str, expected: str) -> HttpError:
    return HttpError(
        "source-unavailable", found, expected, "look at the file in an editor on the machine where it ran", status=404
    )
