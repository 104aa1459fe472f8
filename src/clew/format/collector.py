"""Drain every ring of one recording: those of a program and of its children.

Exactly one collector works on a recording at a time; it holds a lock on a file in the
folder. A process that begins to record makes its ring first and looks at the lock
second; a collector that ends gives up the lock first and looks for rings second: so no
ring is left without a collector.

Run as a module (``python -m clew.format.collector FOLDER``) it is the sidecar of a
process that was not started by ``clew run``: it detaches, works until no process of the
recording is left, and ends.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from pathlib import Path
from typing import Any

from clew.format import ring
from clew.format.drain import Drain, resume_stream
from clew.model.errors import ClewError

BUSY_PAUSE_S = 0.01
IDLE_PAUSE_S = 0.05
LINGER_S = 1.0
"""How long the sidecar stays without a ring: a program may start its next child."""


class Collector:
    """Drains the rings of the recording at *folder*.

    Args:
        folder: The recording folder; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drains: dict[Path, Drain] = {}
        self.finished: dict[int, Drain] = {}
        """Drains of ended processes, by pid."""
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
        return True

    def release(self) -> None:
        """Write what is held in memory and let another collector take over."""
        for drain in self.drains.values():
            drain.hand_over()
        self.drains.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def find(self) -> bool:
        """Look for new rings; return whether there are any rings at all."""
        prefix = ring.file_prefix(str(self.folder))
        for folder in (*map(Path, ring.MEMORY_FOLDERS), self.folder):
            try:
                names = [entry.name for entry in os.scandir(folder) if entry.name.startswith(prefix)]
            except OSError:
                continue
            for name in names:
                path = folder / name
                if path not in self.drains and path not in self._refused:
                    self._add(path)
        return bool(self.drains)

    def _add(self, path: Path) -> None:
        try:
            drain = Drain(path, self.folder)
        except ClewError as error:
            # A ring whose owner has not written the head yet looks damaged for an instant.
            if time.time() - _modified(path) > LINGER_S:
                self.errors.append(str(error))
                self._refused.add(path)
            return
        except OSError:
            return
        resume_stream(drain)
        self.drains[path] = drain

    def step(self) -> int:
        """Move what is there, finish the rings of ended processes; return events moved."""
        moved = 0
        for path, drain in list(self.drains.items()):
            has_ended = drain.has_ended() or not drain.is_owner_alive()
            moved += drain.step()
            if has_ended and drain.pid not in self.keep:
                self._finish(path, drain)
        return moved

    def finish(self, pid: int, **end: Any) -> None:
        """Finish the rings of the ended process *pid*, noting *end* in their END chunk."""
        self.keep.discard(pid)
        for path, drain in list(self.drains.items()):
            if drain.pid == pid:
                self._finish(path, drain, **end)

    def _finish(self, path: Path, drain: Drain, **end: Any) -> None:
        drain.finish(**end)
        self.finished[drain.pid] = drain
        del self.drains[path]
        if drain.error:
            self.errors.append(drain.error)

    def _owns_folder(self) -> bool:
        """Tell whether the folder is still the one that was locked (not made anew)."""
        try:
            return (self.folder / ring.LOCK_NAME).stat().st_ino == os.fstat(self._lock).st_ino
        except OSError:
            return False

    def run(self) -> None:
        """Work until no ring of the recording is left for ``LINGER_S``."""
        last_seen = time.monotonic()
        while True:
            if not self._owns_folder():
                self.release()
                return
            if self.find():
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > LINGER_S:
                self.release()
                if not self.find() or not self.acquire():
                    return
            time.sleep(BUSY_PAUSE_S if self.step() else IDLE_PAUSE_S)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def main(folder: str) -> None:
    """Detach from whoever started this process, and collect."""
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    collector = Collector(Path(folder))
    if collector.acquire():
        collector.run()


if __name__ == "__main__":
    main(sys.argv[1])
