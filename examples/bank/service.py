"""What the bank's services share: how they are served, and how long they take."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.applications import Starlette

SEED = os.environ.get("BANK_SEED", "7")


def serve(app: Starlette) -> None:
    """Serve *app* until SIGINT, on the listening socket whose number is the first argument.

    The socket was opened by whoever started this process, so that callers can connect
    to it from the first instant: nobody has to poll until the service is up.
    """
    listener = socket.socket(fileno=int(sys.argv[1]))
    # Loop and parser are named so that the bank is the same whatever else is installed.
    config = uvicorn.Config(app, loop="asyncio", http="h11", log_level="warning", timeout_graceful_shutdown=1)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def seeded(*key: object) -> random.Random:
    """Return a source of random numbers that is the same in every run with the same seed."""
    return random.Random("/".join(map(str, (SEED, *key))))


async def latency(low_ms: float, high_ms: float, *key: object) -> None:
    """Take as long as a database or a network would: the same time in every run, for the same key."""
    await asyncio.sleep(seeded(*key).uniform(low_ms, high_ms) / 1000)
