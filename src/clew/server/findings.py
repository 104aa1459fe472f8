"""Findings: what is wrong, over all runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from sqlalchemy import false, not_, or_
from starlette.responses import Response

from clew.analysis.filters import Field, Kind, Pattern, parse
from clew.model.findings import SEVERITIES
from clew.server import cursors
from clew.server.answers import Findings, json_response
from clew.server.auth import Role, require
from clew.server.context import Shared
from clew.server.run_filters import like
from clew.server.runs import Cursor, Filter, Limit
from clew.store import finding_list
from clew.store.schema import findings

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from clew.analysis.filters import Term

router = APIRouter(prefix="/api/v1", tags=["findings"], dependencies=[require(Role.VIEWER)])

FIELDS = {
    "kind": Field(Kind.TEXT),
    "severity": Field(Kind.TEXT, SEVERITIES),
    "confidence": Field(Kind.TEXT, ("proved", "likely", "possible")),
    "run": Field(Kind.TEXT),
    "process": Field(Kind.TEXT),
    "fingerprint": Field(Kind.TEXT),
}
"""What findings can be asked for; free text is looked for in the title."""
_COLUMNS = {
    "kind": findings.c.kind,
    "severity": findings.c.severity,
    "confidence": findings.c.confidence,
    "run": findings.c.run_id,
    "process": findings.c.process_id,
    "fingerprint": findings.c.fingerprint,
}


@router.get("/findings", response_model=Findings)
def list_findings(context: Shared, filter: Filter = "", cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List findings, the latest first."""
    after = cursors.decode(cursor, "findings", int)[0] if cursor is not None else None
    conditions = [_condition(term) for term in parse(filter, FIELDS)]
    page = finding_list.list_findings(context.store, conditions, after=after, limit=limit)
    following = cursors.encode("findings", page.after) if page.after is not None else None
    return json_response({"findings": page.findings, "next_cursor": following})


def _condition(term: Term) -> ColumnElement[bool]:
    column, around = (_COLUMNS[term.field], "") if term.field else (findings.c.title, "%")
    met = or_(false(), *(like(column, value, around=around) for value in term.values if isinstance(value, Pattern)))
    return not_(met) if term.is_negated else met
