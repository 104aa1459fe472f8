"""``clew ui``: look at recordings in the browser, without keeping them anywhere."""

from __future__ import annotations

import sys
import tempfile
import threading
import webbrowser
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clew.format.reader import open_recording
from clew.server import settings as server_settings
from clew.server.app import create_app
from clew.server.following import Follower
from clew.server.indexer import index_changed
from clew.server.logs import configure
from clew.server.serving import bind, serve, url_of
from clew.store.store import Store

if TYPE_CHECKING:
    import argparse

PATIENCE_S = 3.0
"""How long the browser waits for the recording to be read: the page fills itself, but a full one looks better."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recordings", metavar="RECORDING", nargs="+", help="recording folders, or stream files")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")


def execute(args: argparse.Namespace) -> int:
    """Serve the recordings from a temporary store until told to end."""
    paths = [Path(recording) for recording in args.recordings]
    for path in paths:
        open_recording(path, tolerant=True)  # says what is wrong before anything is started
    # Nobody scrapes it, and its requests are those of one person.
    settings = server_settings.load({"host": "127.0.0.1", "port": args.port, "log_requests": False})
    with ExitStack() as stack:
        listener = stack.enter_context(bind(settings.host, settings.port))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="clew-ui-"))  # for its owner only
        store = stack.enter_context(Store.open(str(Path(folder, "store"))))
        configure("WARNING")
        follower = stack.enter_context(Follower(store, paths, partial(index_changed, store)))
        app = create_app(store, settings=settings)
        url = url_of(listener)

        def ready() -> None:
            threading.Thread(target=_tell, args=(follower, url, not args.no_browser), daemon=True).start()

        serve(app, listener, settings, ready)
    return 0


def _tell(follower: Follower, url: str, is_browser_wanted: bool) -> None:
    """Say where the page is, once there is something to see."""
    follower.is_read.wait(PATIENCE_S)
    print(f"clew shows the recording on {url} (Ctrl-C ends it)", flush=True)
    if follower.damaged:
        sys.stderr.write(f"clew: {follower.damaged} damaged chunks were left out; 'clew repair' says more\n")
    if is_browser_wanted:
        webbrowser.open(url)
