"""The worker that a server starts beside itself: indexing and compaction take no time from its requests."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

from clew.server.logs import log

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STEADY_S = 30.0
"""A worker that lived this long did not die of how it was started."""
END_S = 5.0
_PR_SET_PDEATHSIG = 1
# A server that is killed takes its worker along: the kernel sends it SIGTERM. The parent may
# have died before that was asked for, so it is looked at after.
_START = (
    f"import ctypes, os, sys; ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, {int(signal.SIGTERM)}, 0, 0, 0); "
    "os.getppid() == int(sys.argv.pop(1)) or sys.exit(0); "
    "from clew.cli.main import main; sys.exit(main())"
)


class WorkerChild:
    """Keeps one ``clew worker`` running.

    Args:
        arguments: Of the command, after ``worker``.
        environment: Further variables: what must not be seen in a list of processes.
    """

    def __init__(self, arguments: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self._command = [sys.executable, "-c", _START, str(os.getpid()), "worker", *arguments]
        self._environment = os.environ | (environment or {})
        self._is_ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        # The kernel's signal comes when the *thread* that started the child ends: this one
        # lives as long as the server.
        self._thread = threading.Thread(target=self._keep, name="clew-worker-keeper", daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the worker that runs now."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_ending.set()
        self._thread.join()

    def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._is_ending.is_set():
            seconds, status = self._run_once()
            if self._is_ending.is_set():
                return
            pause_s = FIRST_PAUSE_S if seconds >= STEADY_S else min(pause_s * 2, LONGEST_PAUSE_S)
            log(logging.ERROR, "the worker ended; it is started again", status=status, after_s=round(pause_s, 1))
            self._is_ending.wait(pause_s)

    def _run_once(self) -> tuple[float, int | None]:
        """Run a worker until it ends or the server does; return for how long it ran, and its status."""
        import time

        begin = time.monotonic()
        self._process = process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=self._environment
        )
        while process.poll() is None:
            if self._is_ending.wait(0.2):
                process.terminate()
                try:
                    process.wait(END_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        return time.monotonic() - begin, process.returncode
