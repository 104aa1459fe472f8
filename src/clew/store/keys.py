"""Keys of the server's users: shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, update

from clew.store import schema
from clew.store.batch import storable
from clew.store.errors import StoreError

if TYPE_CHECKING:
    from clew.store.store import Store

ROLES = ("viewer", "operator", "admin")
PREFIX = "clew_"
"""By which programs that look for leaked secrets know one."""
KEY_BYTES = 32
MAX_NAME = 100


class ApiKey(NamedTuple):
    """What is known of a key; the key itself is not."""

    key_id: str
    name: str
    role: str
    created_ns: int
    revoked_ns: int | None


class NewKey(NamedTuple):
    """A key that was just made: the only time that ``secret`` can be seen."""

    key: ApiKey
    secret: str


def make(store: Store, name: str, role: str) -> NewKey:
    """Make a key.

    Args:
        store: Where it is valid.
        name: For people, to know it by.
        role: One of ``ROLES``.

    Raises:
        StoreError: The role is none, or the name is empty or too long.
    """
    if role not in ROLES:
        raise StoreError("key-role", f"the role is {role[:40]!r}", f"expected one of {', '.join(ROLES)}", "choose one")
    name = storable(name).strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise StoreError(
            "key-name", f"the name has {len(name)} characters", f"expected 1 to {MAX_NAME}", "name who will use it"
        )
    secret = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    key = ApiKey(secrets.token_hex(8), name, role, time.time_ns(), None)
    with store.write() as connection:
        connection.execute(schema.api_keys.insert(), key._asdict() | {"hash": _hash(secret)})
    return NewKey(key, secret)


def find(store: Store, secret: str) -> ApiKey | None:
    """Return the key that *secret* is, unless it was revoked.

    It is looked up by its hash, so how long that takes tells nothing of the secret.
    """
    wanted = _hash(secret)
    table = schema.api_keys
    with store.engine.connect() as connection:
        row = connection.execute(select(table).where(table.c.hash == wanted)).one_or_none()
    if row is None or row.revoked_ns is not None or not hmac.compare_digest(row.hash, wanted):
        return None
    return ApiKey(row.key_id, row.name, row.role, row.created_ns, None)


def revoke(store: Store, key_id: str) -> bool:
    """Make a key invalid; return whether there was one that was valid."""
    table = schema.api_keys
    with store.write() as connection:
        done = connection.execute(
            update(table)
            .where(table.c.key_id == storable(key_id), table.c.revoked_ns.is_(None))
            .values(revoked_ns=time.time_ns())
        )
        return done.rowcount > 0


def list_keys(store: Store) -> list[ApiKey]:
    """List all keys, revoked ones too, oldest first."""
    table = schema.api_keys
    columns = [table.c[name] for name in ApiKey._fields]
    with store.engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(table.c.created_ns, table.c.key_id))
        return [ApiKey(*row) for row in rows]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
