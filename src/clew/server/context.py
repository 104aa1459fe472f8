"""What the routes share: one object a server, handed to each by FastAPI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

if TYPE_CHECKING:
    from clew.server.library import Library
    from clew.store.store import Store


@dataclass(slots=True)
class Context:
    """What a server works with.

    Attributes:
        store: Where recordings are kept.
        library: Opens recordings for analysis, and keeps the last ones open.
        is_loopback: Whether only programs of this machine can reach the server.
    """

    store: Store
    library: Library
    is_loopback: bool = True


def context_of(request: Request) -> Context:
    """Return what the server of *request* works with."""
    context: Context = request.app.state.context
    return context


Shared = Annotated[Context, Depends(context_of)]
"""The annotation of a route's parameter that is to hold the context."""
