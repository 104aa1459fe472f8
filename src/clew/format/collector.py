"""Drain every ring of one recording: those of a program and of its children.

Exactly one collector works on a recording at a time; it holds a lock on a file in the
folder. A process that begins to record makes its ring first and looks at the lock
second; a collector that ends gives up the lock first and looks for rings second: so no
ring is left without a collector.

``main`` is the sidecar of a process that was not started by ``clew run``: it works until
no process of the recording is left, and ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clew.format import destination, ring
from clew.format.drain import Drain, resume_stream
from clew.model.errors import ClewError

if TYPE_CHECKING:
    from collections.abc import Callable

    from clew.format.sender import Sender

BUSY_PAUSE_S = 0.01
IDLE_PAUSE_S = 0.05
LINGER_S = 1.0
"""How long the sidecar stays without a ring: a program may start its next child."""
ATTEMPTS = 10
"""How often a sidecar tries to become the collector, 50 ms apart: whoever only looks
whether there is one holds the lock for an instant."""
UNSENT_PATIENCE_S = 600.0
"""How long the sidecar stays for a server that takes nothing: one that is installed anew is back by then."""


class Collector:
    """Drains the rings of the recording at *folder*.

    Args:
        folder: The recording folder; it must exist.
        say: Called with a line for the user while the program runs: about the server the
            recording is sent to, if it is.
        trims: Whether what was sent may be removed meanwhile.
        sender: Sends the recording; by default one is started if the folder says where to.
    """

    def __init__(
        self,
        folder: Path,
        *,
        say: Callable[[str], None] | None = None,
        trims: bool = True,
        sender: Sender | None = None,
    ) -> None:
        self.folder = folder
        self.sender = sender
        self._say = say
        self._trims = trims
        self.drains: dict[Path, Drain] = {}
        self.finished: list[Drain] = []
        """Drains of ended processes, in the order in which they ended."""
        self.keep: set[int] = set()
        """Processes whose ring is finished only by ``finish``, when it is known how they ended."""
        self.errors: list[str] = []
        self._refused: set[Path] = set()
        self._lock = -1

    def acquire(self) -> bool:
        """Become the collector of the recording; return False if another one is."""
        fd = os.open(self.folder / ring.LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._lock = fd
        self._begin_sending()
        return True

    def _begin_sending(self) -> None:
        if self.sender is None and (self.folder / destination.FILE_NAME).exists():
            from clew.format.sender import begin_sending  # HTTP and TLS cost 40 ms, and most send nothing

            self.sender = begin_sending(self.folder, say=self._say, trims=self._trims)

    def release(self) -> None:
        """Write what is held in memory and let another collector take over."""
        for drain in self.drains.values():
            drain.hand_over()
        self.drains.clear()
        if self.sender is not None:
            self.sender.stop()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def find(self) -> bool:
        """Look for new rings; return whether there are any rings at all."""
        for path in rings_of(self.folder):
            if path not in self.drains and path not in self._refused:
                self._add(path)
        return bool(self.drains)

    def _add(self, path: Path) -> None:
        try:
            drain = Drain(path, self.folder)
        except ClewError as error:
            # A ring whose owner has not written the head yet looks damaged for an instant.
            if not Path("/proc", _owner_of(path)).exists():
                path.unlink(missing_ok=True)
            elif time.time() - _modified(path) > LINGER_S:
                self._refuse(path, str(error))
            return
        except OSError:
            return
        try:
            resume_stream(drain)
        except Exception as error:  # noqa: BLE001  one damaged ring must not end the recording of the others
            drain.close()
            self._refuse(path, f"{type(error).__name__}: {error}")
            return
        self.drains[path] = drain
        self._begin_sending()  # the process that began may have said where to
        if self.sender is not None:
            drain.spool = self.sender.spool
            drain.spool.values[drain.stream_path] = drain.values

    def _refuse(self, path: Path, problem: str) -> None:
        self.errors.append(f"{path}: {problem}")
        self._refused.add(path)

    def step(self) -> int:
        """Move what is there, finish the rings of ended processes; return events moved."""
        moved = 0
        for path, drain in list(self.drains.items()):
            try:
                # Asked first: what was recorded before the end is then moved by this step.
                has_ended = drain.has_ended() or not drain.is_owner_alive()
                moved += drain.step()
                if has_ended and (drain.pid not in self.keep or drain.has_become_another()):
                    self._finish(path, drain)
            except Exception as error:  # noqa: BLE001  as above
                drain.close()
                self.drains.pop(path, None)
                self._refuse(path, f"{type(error).__name__}: {error}")
        return moved

    def finish(self, pid: int, **end: Any) -> None:
        """Finish the rings of the ended process *pid*, noting *end* in their END chunk."""
        self.keep.discard(pid)
        for path, drain in list(self.drains.items()):
            if drain.pid == pid:
                self._finish(path, drain, **end)

    def _finish(self, path: Path, drain: Drain, **end: Any) -> None:
        drain.finish(**end)
        if self.sender is not None:
            self.sender.ended(drain.stream_path)
        self.finished.append(drain)
        del self.drains[path]
        if drain.error:
            self.errors.append(drain.error)

    def is_folder_gone(self) -> bool:
        """Tell whether the folder that was locked was removed, or is another one by now."""
        try:
            return (self.folder / ring.LOCK_NAME).stat().st_ino != os.fstat(self._lock).st_ino
        except OSError:
            return True

    def settle(self, seconds: float, *, is_enough: Callable[[], bool] | None = None) -> bool:
        """Wait until the server has everything; go on collecting meanwhile.

        Args:
            seconds: Longest time to wait.
            is_enough: Asked again and again; True ends the wait.

        Returns:
            Whether it has. False after *seconds*, or sooner if it will not take it by then.
        """
        sender = self.sender
        if sender is None:
            return True
        deadline = time.monotonic() + seconds
        sender.close()
        while not sender.wait(BUSY_PAUSE_S):
            if time.monotonic() > deadline or sender.is_hopeless(deadline) or (is_enough is not None and is_enough()):
                return False
            if self.find() and self.step():
                sender.close()
        return sender.has_all

    def remove_sent(self) -> bool:
        """Remove what was only kept in order to be sent: the spool, or the key in a recording that stays.

        Returns:
            Whether the folder is gone.
        """
        sender = self.sender
        if sender is None or not sender.has_all or rings_of(self.folder):
            return False
        if sender.destination.keeps:
            destination.clear_marks(str(self.folder))
            return False
        if not sender.spool.remove():
            return False
        if not rings_of(self.folder):
            return True
        # A process began in this instant: it made its ring first.
        self.folder.mkdir(mode=0o700, exist_ok=True)
        sender.destination.write(str(self.folder))
        return False

    def abandon(self) -> None:
        """Remove the rings: their recording was removed, nobody will ask for them."""
        for drain in self.drains.values():
            drain.remove()
        self.drains.clear()
        self.release()

    def run(self) -> None:
        """Work until no ring of the recording is left for ``LINGER_S``, and everything was sent."""
        last_seen = time.monotonic()
        while True:
            if self.is_folder_gone():
                self.abandon()
                return
            if self.find():
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > LINGER_S and self._is_sent(last_seen):
                self.remove_sent()
                self.release()
                if not self.find() or not self._begin_again():
                    self.release()
                    return
            time.sleep(BUSY_PAUSE_S if self.step() else IDLE_PAUSE_S)

    def _is_sent(self, last_seen: float) -> bool:
        """Tell whether there is nothing left to send, or nobody who takes it."""
        return self.settle(LINGER_S) or self.sender is None or time.monotonic() - last_seen > UNSENT_PATIENCE_S

    def _begin_again(self) -> bool:
        """Become the collector once more: a process began in the instant in which this one ended."""
        self.sender = None
        try:
            return self.acquire()
        except FileNotFoundError:  # everything was sent, and the folder removed
            return False


def rings_of(folder: Path) -> list[Path]:
    """List the ring files of the recording at *folder*."""
    prefix = ring.file_prefix(str(folder))
    found: list[Path] = []
    for place in (*map(Path, ring.MEMORY_FOLDERS), folder):
        try:
            with os.scandir(place) as entries:
                found += [place / entry.name for entry in entries if entry.name.startswith(prefix)]
        except OSError:
            continue
    return found


def _owner_of(path: Path) -> str:
    """Return the pid in the name of a ring file."""
    return path.name.split("-")[3]


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def main(folder: str) -> None:
    """Collect the recording at *folder*, unless somebody else does."""
    collector = Collector(Path(folder))
    for _ in range(ATTEMPTS):
        try:
            is_ours = collector.acquire()
        except FileNotFoundError:
            for path in rings_of(collector.folder):
                path.unlink(missing_ok=True)  # nobody will ask for them
            return
        if is_ours:
            collector.run()
            return
        time.sleep(0.05)
