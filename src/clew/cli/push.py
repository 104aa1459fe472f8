"""``clew push``: send a recording to a server, also one whose program still runs.

What a supervisor or sidecar that was killed left behind is collected first, so that
everything that was recorded is sent.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from clew.cli.progress import Progress
from clew.format import destination
from clew.format.collector import Collector, rings_of
from clew.format.reader import STREAM_SUFFIX, open_recording
from clew.format.sender import Sender
from clew.model.errors import ClewError, UsageError
from clew.probe import config

if TYPE_CHECKING:
    import argparse

    from clew.format.destination import Destination

POLL_S = 0.05
STEPS = 3
"""An event is taken one step after it was first seen."""
MAX_PROBLEMS = 5
PATIENCE_S = 30.0
"""How long a server that takes nothing is asked again."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recording", metavar="RECORDING", help="a recording folder")
    parser.add_argument("--server", metavar="URL", help="the clew server (default: where it was to be sent)")
    parser.add_argument("--server-key-file", metavar="FILE", help="file with the server's API key")
    parser.add_argument("--follow", action="store_true", help="go on until the programs that are recorded have ended")
    parser.add_argument("--remove", action="store_true", help="remove the recording once the server has all of it")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=PATIENCE_S,
        help=f"how long to wait for a server that takes nothing (default {PATIENCE_S:.0f})",
    )


def execute(args: argparse.Namespace) -> int:
    """Send it; say what was sent."""
    folder = Path(args.recording)
    if not folder.is_dir() or not (rings_of(folder) or any(folder.glob("*" + STREAM_SUFFIX))):
        open_recording(folder)  # says what is wrong with it
        raise UsageError(
            "usage", f"{folder} is one stream", "expected a recording folder", f"name the folder {folder.parent}"
        )
    server = _server_of(args, folder)
    sys.stderr.write(server.warning)
    push = _Push(folder, server, patience_s=args.wait)
    try:
        push.run(follow=args.follow)
    finally:
        push.end()
    print(push.summary())
    push.clean(remove=args.remove)
    return 0 if push.sender.has_all else 1


def _server_of(args: argparse.Namespace, folder: Path) -> Destination:
    """Return where to send: as the command line says, or the settings, or else the recording itself."""
    flags = {"server": args.server, "server_key_file": args.server_key_file}
    settings = config.load(flags, project=str(Path.cwd()))
    named = destination.read_destination(str(folder))
    key = destination.find_key(os.environ, settings.server_key_file)
    if args.server is None and named is not None:
        # The key of the environment is for the server named there, not for any a folder names.
        is_meant = args.server_key_file or settings.server == named.url
        return destination.Destination(named.url, named.key or (key if is_meant else ""), keeps=True)
    if not settings.server:
        raise UsageError(
            "no-server",
            "no server is named",
            "expected --server URL, or CLEW_SERVER",
            "try: --server http://127.0.0.1:7777",
        )
    if not key and named is not None and named.url == settings.server:
        key = named.key
    return destination.Destination(settings.server, key, keeps=True)


def _say(line: str) -> None:
    sys.stderr.write(line)


class _Push:
    """One recording on its way to one server.

    Args:
        folder: The recording folder.
        server: Where to; what is sent stays.
        patience_s: How long a server may take nothing.
    """

    def __init__(self, folder: Path, server: Destination, *, patience_s: float) -> None:
        self.folder = folder
        self.patience_s = patience_s
        self.sender = Sender(folder, server, say=_say, marks=False)
        self.collector = Collector(folder, sender=self.sender)
        # Somebody else may collect; then this process only reads.
        self.is_collector = self.collector.acquire()
        self._last_bytes = 0
        self._last_success = time.monotonic()

    def run(self, *, follow: bool) -> None:
        """Send what there is, and with *follow* what there will be.

        Raises:
            ClewError: The server does not take it.
        """
        total = sum(path.stat().st_size for path in self.folder.glob("*" + STREAM_SUFFIX))
        self.sender.start()
        with Progress(total, f"sending to {self.sender.destination.url}") as progress:
            while True:
                is_last = self._collect() or not follow
                self.sender.close()
                while not self.sender.wait(POLL_S):
                    progress(self._count())
                    if is_last and self.is_collector:
                        self.collector.step()
                progress(self._count())
                if is_last:
                    return
                time.sleep(POLL_S)

    def _collect(self) -> bool:
        """Take out of the rings what is there; return whether no process writes any more."""
        if self.is_collector:
            self.collector.find()
            for _ in range(STEPS):
                self.collector.step()
            for drain in self.collector.drains.values():
                drain.flush()
        return not rings_of(self.folder)

    def _count(self) -> int:
        """Return the bytes that were sent since the last call; give up when there were none for too long."""
        sender = self.sender
        new = sender.sent_bytes - self._last_bytes
        self._last_bytes += new
        now = time.monotonic()
        if new or not sender.reason:
            self._last_success = now
        if sender.reason and (sender.is_refused or now - self._last_success > self.patience_s):
            raise ClewError(
                "server-refused" if sender.is_refused else "server-away",
                f"{sender.destination.url} does not take the recording ({sender.reason})",
                "expected a clew server that answers, and a valid key",
                f"try again later; {self.folder} stays as it is",
            )
        return new

    def end(self) -> None:
        """Stop sending, and let another collector go on."""
        self.sender.stop()
        if self.is_collector:
            self.collector.release()

    def summary(self) -> str:
        """Say what was sent where."""
        sender = self.sender
        count = sum(tail.acked > 0 for tail in sender.tails.values())
        lines = [
            f"sent {sender.sent_events:,} events of {count} process{'es' if count != 1 else ''} to {sender.destination.url}"
            + (f", which had {sender.duplicates:,} of them" if sender.duplicates else "")
        ]
        return "\n".join(lines + [f"not sent: {problem}" for problem in sender.problems[:MAX_PROBLEMS]])

    def clean(self, *, remove: bool) -> None:
        """Remove the key, and with *remove* the recording, once nothing of it is left to send."""
        if self.is_collector and self.sender.has_all and not rings_of(self.folder):
            if remove:
                self.sender.spool.remove()
            else:
                destination.clear_marks(str(self.folder))
