"""Keys and the audit log, for admins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from clew.server.auth import Actor, Role, require
from clew.server.context import Shared
from clew.server.errors import HttpError
from clew.server.failures import REQUEST_ID
from clew.server.times import rfc3339
from clew.store import audit, keys

router = APIRouter(tags=["admin"])
Admin = Annotated[Actor, require(Role.ADMIN)]


class NewKey(BaseModel):
    """What a key is to be."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=keys.MAX_NAME, description="Who will use it")
    role: str = Field(pattern="^(viewer|operator|admin)$")


@router.get("/api/v1/keys")
def list_keys(context: Shared, _: Admin) -> dict[str, Any]:
    """List the keys, revoked ones too; the keys themselves are not known."""
    return {"keys": [_document(key) for key in keys.list_keys(context.store)]}


@router.post("/api/v1/keys", status_code=201)
def make_key(request: Request, context: Shared, actor: Admin, wanted: NewKey) -> dict[str, Any]:
    """Make a key. It is in the answer, this once."""
    made = keys.make(context.store, wanted.name, wanted.role)
    audit.record(
        context.store,
        actor.name,
        "key.make",
        subject=made.key.key_id,
        details={"name": made.key.name, "role": made.key.role},
        request_id=request.scope.get(REQUEST_ID, ""),
    )
    return _document(made.key) | {"key": made.secret}


@router.delete("/api/v1/keys/{key_id}")
def revoke_key(
    request: Request, context: Shared, actor: Admin, key_id: Annotated[str, Path(max_length=64)]
) -> dict[str, Any]:
    """Revoke a key: every server of this store refuses it within two seconds."""
    if not keys.revoke(context.store, key_id):
        raise HttpError(
            "key-missing",
            f"no key in force has the id {key_id!r}",
            "expected one that GET /api/v1/keys lists",
            "it may have been revoked already",
            status=404,
        )
    context.keyring.forget()
    request_id = request.scope.get(REQUEST_ID, "")
    audit.record(context.store, actor.name, "key.revoke", subject=key_id, request_id=request_id)
    return {"id": key_id, "revoked": True}


@router.get("/api/v1/audit")
def list_audit(
    context: Shared,
    _: Admin,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$")] = None,
) -> dict[str, Any]:
    """List who changed what, latest first."""
    found = audit.entries(context.store, before_id=int(cursor) if cursor else None, limit=limit + 1)
    page = found[:limit]
    return {
        "entries": [
            {
                "at": rfc3339(entry.at_ns),
                "actor": entry.actor,
                "action": entry.action,
                "subject": entry.subject,
                "details": entry.details,
                "request_id": entry.request_id,
            }
            for entry in page
        ],
        "next_cursor": str(page[-1].id) if len(found) > limit else None,
    }


def _document(key: keys.ApiKey) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "name": key.name,
        "role": key.role,
        "created_at": rfc3339(key.created_ns),
        "revoked_at": None if key.revoked_ns is None else rfc3339(key.revoked_ns),
    }
