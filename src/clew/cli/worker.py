"""``clew worker``: index and compact what a server stores."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from clew.cli.serve import default_store
from clew.server import settings as server_settings
from clew.server.indexer import index_process
from clew.server.logs import configure
from clew.server.worker import Worker
from clew.store.store import Store

if TYPE_CHECKING:
    import argparse
    from types import FrameType


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--store", metavar="URL", help="folder, or postgresql://… (default ~/.local/share/clew/store)")
    parser.add_argument("--blobs", metavar="URL", help="folder, or s3://BUCKET/PREFIX (default: within the store)")


def execute(args: argparse.Namespace) -> int:
    """Work until told to end."""
    settings = server_settings.load({"store": args.store, "blobs": args.blobs})
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        _ = (number, frame)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    configure(settings.log_level)
    with Store.open(settings.store or str(default_store()), settings.blobs or None) as store:
        Worker(store, index_process).run(stop)
    return 0
