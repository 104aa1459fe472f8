"""Who may do what: roles, keys, and who asks."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, cast

from fastapi import Depends, Request

from clew.server.errors import HttpError
from clew.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from clew.server.settings import Settings
    from clew.store.store import Store

ACTOR = "clew.actor"
"""Key in the scope under which it stands who asks, once that was looked up."""
REFRESH_S = 2.0
"""For how long keys are remembered: a key that was revoked, here or by another server, ends within that."""
REMEMBERED = 1000
"""Keys remembered, wrong ones too."""

_REMEDY = "send a key that an admin of this server made; 'clew serve --make-key NAME:ROLE' makes one"


class Role(IntEnum):
    """What a key allows; each role may do what the ones before it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def slug(self) -> str:
        """The name that people and programs use."""
        return self.name.lower()


ROLES = {role.slug: role for role in Role}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks.

    Attributes:
        name: For logs: the id and name of the key, or ``local``.
        role: What they may do.
    """

    name: str
    role: Role


LOCAL = Actor("local", Role.ADMIN)
"""Whoever reaches a server that only this machine can reach, while no keys are in force."""


class Keyring:
    """The keys of a server, those in its store and the one of its environment.

    Whether keys are in force is decided when it is first asked, which is when the server
    starts: making the first key in a running server locks nobody out of it.

    Thread safety: yes.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._needs_key = settings.needs_key
        self._own = _digest(settings.key) if settings.key else None
        self._in_force: bool | None = None
        self._remembered: OrderedDict[str, tuple[float, Actor | None]] = OrderedDict()

    def is_in_force(self) -> bool:
        """Return whether a request needs a key; asks the store the first time."""
        if self._in_force is None:
            self._in_force = self._needs_key or self.has_any()
        return self._in_force

    def has_any(self) -> bool:
        """Return whether there is a key in force at all."""
        return self._own is not None or any(key.revoked_ns is None for key in keys.list_keys(self._store))

    async def identify(self, key: str | None) -> Actor | None:
        """Return whose *key* is, or None; whoever asks, while no keys are in force."""
        if self._in_force is None:
            await asyncio.to_thread(self.is_in_force)
        if not self._in_force:
            return LOCAL
        return None if key is None else await self._find(key)

    def forget(self) -> None:
        """Look keys up anew the next time: one was revoked."""
        self._remembered.clear()

    async def _find(self, key: str) -> Actor | None:
        digest = _digest(key)
        if self._own is not None and hmac.compare_digest(digest, self._own):
            return Actor("key of the environment", Role.ADMIN)
        read_at, actor = self._remembered.get(digest, (float("-inf"), None))
        now = time.monotonic()
        if now - read_at > REFRESH_S:
            found = await asyncio.to_thread(keys.find, self._store, key)
            actor = None if found is None else Actor(f"{found.key_id} {found.name}", ROLES[found.role])
            self._remembered[digest] = (now, actor)
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return actor


def _digest(key: str) -> str:
    # Keys are random: a slow hash would protect nothing and cost every request.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_of(request: Request) -> str | None:
    """Return the key that *request* carries, or None."""
    authorization = request.headers.get("authorization", "")
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return request.headers.get("x-api-key") or None


async def identify(request: Request) -> Actor:
    """Return who asks.

    Raises:
        HttpError: Keys are in force, and there is none in the request or it is not known (401).
    """
    actor = cast("Actor | None", request.scope.get(ACTOR))
    if actor is None:
        keyring = cast("Keyring", request.app.state.context.keyring)
        key = key_of(request)
        actor = await keyring.identify(key)
        if actor is None and key is None:
            raise HttpError(
                "key-required",
                "the request carries no key",
                "expected Authorization: Bearer KEY",
                _REMEDY,
                status=401,
            )
        if actor is None:
            raise HttpError(
                "key-unknown", "the key of the request is not known", "expected a key in force", _REMEDY, status=401
            )
        request.scope[ACTOR] = actor
    return actor


def require(role: Role) -> Any:
    """Return the dependency of a route that only *role* and above may use; its value is the :class:`Actor`."""

    async def check(request: Request) -> Actor:
        actor = await identify(request)
        if actor.role < role:
            raise HttpError(
                "role",
                f"the key has the role {actor.role.slug}",
                f"expected {role.slug}" + (" or admin" if role == Role.OPERATOR else ""),
                "ask an admin for a key with that role",
                status=403,
            )
        return actor

    dependency: Callable[[Request], Coroutine[Any, Any, Actor]] = check
    return Depends(dependency)
