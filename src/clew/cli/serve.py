"""``clew serve``: keep recordings, and show them."""

from __future__ import annotations

import os
import sys
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from clew.model.errors import UsageError
from clew.server import settings as server_settings
from clew.server.app import create_app
from clew.server.auth import ROLES
from clew.server.child import WorkerChild
from clew.server.logs import configure
from clew.server.serving import bind, serve, url_of
from clew.store import keys
from clew.store.store import Store

if TYPE_CHECKING:
    import argparse

    from clew.server.settings import Settings


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1; others need a key)")
    parser.add_argument("--port", type=int, help="port to listen on (default 7777; 0: a free one)")
    parser.add_argument("--store", metavar="URL", help="folder, or postgresql://… (default ~/.local/share/clew/store)")
    parser.add_argument("--blobs", metavar="URL", help="folder, or s3://BUCKET/PREFIX (default: within the store)")
    parser.add_argument("--require-key", action="store_true", default=None, help="ask for a key on loopback too")
    parser.add_argument("--make-key", metavar="NAME:ROLE", help="make a key (viewer, operator, admin), print it, end")
    parser.add_argument("--cors", metavar="ORIGIN", action="append", help="let pages of this origin ask; repeatable")
    parser.add_argument(
        "--allow-host", metavar="NAME", action="append", help="name by which a proxy asks; needs keys; repeatable"
    )
    parser.add_argument("--no-worker", action="store_true", help="do not start 'clew worker' beside it")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")


def execute(args: argparse.Namespace) -> int:
    """Serve until told to end."""
    flags = {
        "host": args.host,
        "port": args.port,
        "store": args.store,
        "blobs": args.blobs,
        "require_key": args.require_key,
        "cors": tuple(args.cors) if args.cors else None,
        "hosts": tuple(args.allow_host) if args.allow_host else None,
        "worker": False if args.no_worker else None,
    }
    settings = server_settings.load(flags)
    with ExitStack() as stack:
        address = settings.store or str(default_store())
        store = stack.enter_context(Store.open(address, settings.blobs or None))
        if args.make_key:
            return _make_key(store, args.make_key)
        app = create_app(store, settings=settings)
        _check_keys(settings, app.state.context.keyring.has_any())
        listener = stack.enter_context(bind(settings.host, settings.port))
        configure(settings.log_level)
        if settings.worker:
            stack.enter_context(WorkerChild(*_worker_arguments(address, settings.blobs)))
        url = url_of(listener)

        def ready() -> None:
            print(f"clew serves {store.catalog.shown} on {url}", flush=True)
            if args.open:
                webbrowser.open(url)

        serve(app, listener, settings, ready)
    return 0


def default_store() -> Path:
    """Return where recordings are kept if nothing else is said; the folder is for its owner only."""
    data = os.environ.get("XDG_DATA_HOME", "")
    folder = (Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share") / "clew" / "store"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _worker_arguments(address: str, blobs: str) -> tuple[list[str], dict[str, str]]:
    """Return arguments and environment of the worker; an address may hold a password, which a command line shows."""
    environment = {server_settings.PREFIX + "STORE": address}
    if blobs:
        environment[server_settings.PREFIX + "BLOBS"] = blobs
    return [], environment


def _make_key(store: Store, text: str) -> int:
    name, separator, role = text.rpartition(":")
    if not separator or not name or role not in ROLES:
        raise UsageError(
            "usage",
            f"--make-key is {text!r}",
            f"expected NAME:ROLE, the role one of {', '.join(ROLES)}",
            "try: clew serve --make-key ci:operator",
        )
    made = keys.make(store, name, role)
    sys.stderr.write(f"The key {name!r} ({role}), shown this once:\n")
    print(made.secret)
    return 0


def _check_keys(settings: Settings, has_key: bool) -> None:
    if settings.needs_key and not has_key:
        raise UsageError(
            "key-required",
            "there is no key, and "
            + ("one is asked for" if settings.is_loopback else f"{settings.host} can be reached from other machines"),
            "expected at least one key",
            f"make one with 'clew serve --make-key NAME:admin', or set {server_settings.KEY_VARIABLE}",
        )
