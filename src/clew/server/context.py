"""What the routes share: one object a server, handed to each by FastAPI."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from clew.server.auth import Keyring
from clew.server.changes import Hub
from clew.server.metrics import Metrics
from clew.server.settings import Settings

if TYPE_CHECKING:
    from clew.server.edge import Edge
    from clew.server.library import Library
    from clew.store.store import Store


@dataclass(slots=True)
class Context:
    """What a server works with.

    Attributes:
        store: Where recordings are kept.
        library: Opens recordings for analysis, and keeps the last ones open.
        is_loopback: Whether only programs of this machine can reach the server.
        settings: What it may do.
        keyring: Whose keys it knows.
        hub: Tells its clients what changed.
        metrics: What it counts.
        edge: What turns other people's formats into chunks; made when the first of them comes.
    """

    store: Store
    library: Library
    is_loopback: bool = True
    settings: Settings = field(default_factory=Settings)
    keyring: Keyring = field(init=False)
    hub: Hub = field(init=False)
    metrics: Metrics = field(init=False)
    edge: Edge | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.keyring = Keyring(self.store, self.settings)
        self.hub = Hub(self.store, max_clients=self.settings.max_live)
        self.metrics = Metrics()


def context_of(request: Request) -> Context:
    """Return what the server of *request* works with."""
    context: Context = request.app.state.context
    return context


Shared = Annotated[Context, Depends(context_of)]
"""The annotation of a route's parameter that is to hold the context."""
