"""Send a recording to a server while it is written, from the process that collects it.

The streams in the recording folder are the spool: the drain writes them as ever and
never waits for a network; the sender, a thread beside it, reads whole chunks from them
and posts them in order, several at a time. What it was told of is settled when the
server has it, and may then be removed. The server knows by process and sequence number
what it has, so after any accident a stream is sent from its start.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from clew.format import destination
from clew.format.post import Connection, Reply, Verdict
from clew.format.reader import STREAM_SUFFIX, Stream
from clew.format.spool import KEPT_BYTES, Spool
from clew.format.tail import Piece, Tail
from clew.model.errors import ClewError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clew.format.destination import Destination

BATCH_BYTES = 2 << 20
"""For one request: large enough that its cost does not show, small enough to be sent again."""
POLL_S = 0.25
"""Between two looks at the streams while nobody says that they grew."""
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
REFUSED_PAUSE_S = 60.0
"""Between attempts at a server that refuses: somebody may mend it, but not in a second."""
SAY_AFTER_S = 10.0
"""A server that is restarted need not be mentioned."""
TRIM_PAUSE_S = 1.0
JOIN_S = 1.0
BATCH_GROWTH = 8
"""A batch that had to shrink grows by this part (1/n) with each that is taken."""


class Sender:
    """Sends the streams of the recording at *folder*.

    Args:
        folder: The recording folder.
        destination: Where to.
        say: Called, from the sender's thread, with a line for the user; each kind once.
        trims: Whether what was sent may be removed while the program runs.
        marks: Whether word is left in the folder of how it stands, for programs that wait.

    Attributes:
        spool: What the drains append through.
        sent_bytes: Bytes that were acknowledged.
        sent_events: Events in them.
        duplicates: Those of them that the server had before.
        reason: Why the server does not take anything at present, or nothing.
        is_refused: It will not take anything either when it is asked again at once.
        problems: What was passed over, and why.
    """

    def __init__(
        self,
        folder: Path,
        destination: Destination,
        *,
        say: Callable[[str], None] | None = None,
        trims: bool = True,
        marks: bool = True,
    ) -> None:
        self.marks = marks
        self.folder = folder
        self.destination = destination
        self.trims = trims and not destination.keeps
        self.spool = Spool(folder, cap_bytes=0 if destination.keeps else destination.spool_bytes, kept_bytes=KEPT_BYTES)
        self.sent_bytes = self.sent_events = self.duplicates = 0
        self.reason = ""
        self.is_refused = False
        self.problems: list[str] = []
        self.tails: dict[str, Tail] = {}
        self._say = say or _say_nothing
        self._said: set[str] = set()
        self._connection = Connection(destination)
        self._thread = threading.Thread(target=self._run, name="clew-sender", daemon=True)
        self._is_stopping = False
        self._is_closing = False
        self._next_attempt = 0.0
        self._asked_for = 0.0
        self._failures = 0
        self._failing_since = 0.0
        self._batch_bytes = BATCH_BYTES
        self._turn = 0
        self._ended: deque[Path] = deque()
        self._called = threading.Event()
        self._seen_folder = -1
        self._next_trim = 0.0
        self._settled = threading.Event()
        self._refusals = 0

    # -- for the thread of the collector

    def start(self) -> None:
        """Begin to send."""
        self._mark_away("")
        self._thread.start()

    def ended(self, stream: Path) -> None:
        """Note that nothing will be appended to *stream* any more."""
        self._ended.append(stream)
        self._call()

    def close(self) -> None:
        """Everything that will be appended was: find out when it is settled."""
        self._is_closing = True
        self._settled.clear()
        self._call()

    def hurry(self) -> None:
        """Ask a server that is away again soon: somebody waits."""
        self._failures = 0
        if not self.is_refused:
            self._next_attempt = min(self._next_attempt, max(time.monotonic(), self._asked_for))
        self._call()

    def wait(self, seconds: float) -> bool:
        """Wait until all that stood in the streams at ``close`` is settled; return whether it is."""
        return self._settled.wait(seconds)

    def is_hopeless(self, deadline: float) -> bool:
        """Tell whether nothing will be taken before *deadline* on the monotonic clock."""
        return bool(self.reason) and (self.is_refused or self._next_attempt > deadline)

    def stop(self) -> None:
        """End the thread, and a request that is under way."""
        self._is_stopping = True
        self._call()
        if self._thread.ident is not None:
            self._connection.abort()
            self._thread.join(JOIN_S)
        if not self._thread.is_alive():
            self._connection.close()

    def _call(self) -> None:
        self._called.set()
        self.spool.grown.set()

    @property
    def has_all(self) -> bool:
        """Whether the server has everything that stood in the streams at ``close``."""
        return self._settled.is_set() and not any(tail.passed_over for tail in [*self.tails.values()])

    def unsent(self) -> tuple[int, int]:
        """Return how many events, of how many processes, were not acknowledged; once the thread has ended."""
        events = processes = 0
        for path in self.folder.glob("*" + STREAM_SUFFIX):
            tail = self.tails.get(path.name)
            with suppress(OSError, ClewError):
                headers = Stream(path, tolerant=True).headers
                count = sum(header.events for header in headers if tail is None or header.offset >= tail.acked)
                events += count
                processes += bool(count)
        return events, processes

    # -- the thread

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                pieces = self._gather() if time.monotonic() >= self._next_attempt else []
                if pieces:
                    self._send(pieces)
                else:
                    self._rest()
        except Exception as error:  # noqa: BLE001  the drain beside it must go on, and the recording stays
            self.is_refused = True
            self._fail(Reply(Verdict.REFUSED, f"the sender failed: {type(error).__name__}: {error}"))

    def _rest(self) -> None:
        """Nothing can be sent now: do what there is time for, and wait until something can."""
        self._trim()
        self._say_if_full()
        # What grows does not make the server come back: then only a call is worth waking for.
        event = self._called if self.reason else self.spool.grown
        left = max(self._next_attempt - time.monotonic(), 0.001)
        if event.wait(min(left, POLL_S) if self.reason else POLL_S):
            event.clear()

    def _gather(self) -> list[Piece]:
        """Return the next chunks of all streams, a batch of them or one that is larger."""
        is_closing = self._is_closing
        ended = {self._ended.popleft() for _ in range(len(self._ended))}
        self._look()
        pieces: list[Piece] = []
        size = 0
        self._turn += 1
        for tail in _rotated([*self.tails.values()], self._turn):
            tail.has_ended = tail.has_ended or tail.path in ended
            if size >= self._batch_bytes or tail.is_marked:
                continue
            found = tail.read(self._batch_bytes - size)
            if not found:
                self._note_read(tail)
            elif pieces and size + sum(piece.size for piece in found) > self._batch_bytes:
                tail.take_back()  # one large chunk, which goes alone
            else:
                pieces += found
                size += sum(piece.size for piece in found)
        if not pieces and is_closing:
            self._settled.set()
        return pieces

    def _note_read(self, tail: Tail) -> None:
        """Note that everything of *tail* that there is was settled."""
        if tail.problem and tail.problem not in self.problems:
            self.problems.append(tail.problem)
        if tail.has_ended:
            tail.is_marked = True
        if tail.has_ended and self.marks:
            with suppress(OSError):
                (self.folder / f"{tail.process}{destination.SENT_SUFFIX}").touch(mode=0o600)

    def _look(self) -> None:
        """Look for new streams, if the folder has changed."""
        try:
            changed = self.folder.stat().st_mtime_ns
            if changed == self._seen_folder:
                return
            with os.scandir(self.folder) as entries:
                names = sorted(entry.name for entry in entries if entry.name.endswith(STREAM_SUFFIX))
        except OSError:
            return
        # A change within the tick of its clock would not show: a young folder is looked at again.
        self._seen_folder = changed if time.time_ns() - changed > 1_000_000_000 else -1
        for name in names:
            if name not in self.tails:
                self.tails[name] = Tail(self.folder / name)

    def _send(self, pieces: list[Piece]) -> None:
        def body() -> Iterator[bytes]:
            for piece in pieces:
                yield from piece.tail.stored(piece.header)

        reply = self._connection.post(sum(piece.size for piece in pieces), body)
        if reply.verdict is Verdict.TAKEN:
            self.duplicates += reply.duplicates
            self._succeed(pieces)
        elif reply.verdict is Verdict.UNFIT and len(pieces) == 1:
            pieces[0].tail.settle(pieces[0].header, is_taken=False)
            self._pass_over(pieces[0], reply)
        else:
            for piece in pieces:
                piece.tail.take_back()
            if reply.verdict is Verdict.UNFIT:
                # One of them is, or they are too many: find out by halves.
                self._batch_bytes = max(min(sum(piece.size for piece in pieces), self._batch_bytes) // 2, 1)
            else:
                self._fail(reply)

    def _succeed(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            piece.tail.settle(piece.header, is_taken=True)
            self.sent_bytes += piece.size
            self.sent_events += piece.header.events
        self._batch_bytes = min(self._batch_bytes + self._batch_bytes // BATCH_GROWTH + 1, BATCH_BYTES)
        self._failures = 0
        if self.reason:
            self.reason = ""
            self.is_refused = False
            self._mark_away("")
        self._trim()

    def _pass_over(self, piece: Piece, reply: Reply) -> None:
        self._batch_bytes = BATCH_BYTES  # it was this chunk
        self.problems.append(f"{piece.tail.path.name}, byte {piece.header.offset}: {reply.reason}")
        self._say_once(
            "chunk-refused",
            f"clew: {self.destination.url} does not take a part of {piece.tail.path} ({reply.reason}); "
            "expected it to take whole chunks; the part stays there, the rest is sent [chunk-refused]\n",
        )

    def _fail(self, reply: Reply) -> None:
        now = time.monotonic()
        is_first = not self.reason
        self._failing_since = now if is_first else self._failing_since
        self.reason = reply.reason or "no reason given"
        self.is_refused = reply.verdict is Verdict.REFUSED
        if is_first:
            self._mark_away(self.reason)
        longest = LONGEST_PAUSE_S
        if self.is_refused:
            pause = longest = REFUSED_PAUSE_S
        else:
            pause = min(FIRST_PAUSE_S * 2**self._failures, longest)
        self._failures = min(self._failures + 1, 16)
        # Many senders lost the same server at the same instant: they come back spread out.
        self._asked_for = now + reply.retry_after_s * random.uniform(1.0, 1.1)
        self._next_attempt = max(now + pause * random.uniform(0.5, 1.0), self._asked_for)
        if self.is_refused:
            self._say_once(
                "server-refused",
                f"clew: {self.destination.url} refuses what is recorded ({self.reason}); expected a clew server and a valid key; "
                f"the recording stays in {self.folder} [server-refused]\n",
            )
        elif now - self._failing_since > SAY_AFTER_S:
            self._say_once(
                "server-away",
                f"clew: {self.destination.url} takes nothing since {SAY_AFTER_S:.0f} s ({self.reason}); expected a clew server there; "
                f"the recording waits in {self.folder} and is sent when it answers [server-away]\n",
            )

    def _mark_away(self, reason: str) -> None:
        """Leave word in the folder, for a program that waits at its end."""
        path = self.folder / destination.AWAY_NAME
        if not self.marks:
            return
        with suppress(OSError):
            if reason:
                path.write_text(reason, encoding="utf-8")
            else:
                path.unlink(missing_ok=True)

    def _trim(self) -> None:
        now = time.monotonic()
        if not self.trims or now < self._next_trim:
            return
        self._next_trim = now + TRIM_PAUSE_S
        if not self.spool.is_trim_due([*self.tails.values()]):
            return
        try:
            for tail in self.spool.trim([*self.tails.values()]):
                del self.tails[tail.path.name]
        except (OSError, ClewError) as error:
            self._next_trim = now + LONGEST_PAUSE_S  # no room to write the shorter stream, most likely
            if str(error) not in self.problems:
                self.problems.append(str(error))

    def _say_if_full(self) -> None:
        if self.spool.refusals > self._refusals:
            self._refusals = self.spool.refusals
            self._say_once(
                "spool-full",
                f"clew: {self.folder} holds {self.spool.size:,} bytes that wait for {self.destination.url}; expected at most "
                f"{self.spool.cap_bytes:,}; until it takes some, events are dropped and counted; raise spool_bytes if that is too few [spool-full]\n",
            )

    def _say_once(self, slug: str, line: str) -> None:
        if slug not in self._said:
            self._said.add(slug)
            self._say(line)


def begin_sending(folder: Path, *, say: Callable[[str], None] | None, trims: bool) -> Sender | None:
    """Start to send the recording at *folder*, if it says where to."""
    found = destination.read_destination(str(folder))
    if found is None:
        return None
    sender = Sender(folder, found, say=say, trims=trims)
    sender.start()
    return sender


def _rotated(tails: list[Tail], by: int) -> list[Tail]:
    """Let another stream be first each time: a busy one must not keep the others waiting."""
    at = by % len(tails) if tails else 0
    return tails[at:] + tails[:at]


def _say_nothing(_: str) -> None:
    """The sidecar has nobody to talk to."""
