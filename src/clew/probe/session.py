"""One recording session of this process: its ring file, its beginning and its end.

``begin`` makes the ring and opens the gate for events; from then on the observed
process only puts bytes into its own memory. A forked child begins a session of its own.
"""

from __future__ import annotations

import _codecs
import mmap
import os
import sys
import time
from contextlib import suppress
from random import Random

from clew.format import ring
from clew.model.errors import ClewError
from clew.model.kinds import EntityKind, EventKind, SpanKind, SpanRole
from clew.probe import buffer, definitions, journal, sites
from clew.probe.redact import Redactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from clew.probe.config import Config

JOURNAL_SIZE = 1 << 20
PROCESS_ENTITY = 1
MAIN_THREAD_ENTITY = 2
EXIT_WAIT_S = 2.0
"""Longest time a process that records by itself waits at its end for the sidecar."""

_random = Random()
random_bits = _random.getrandbits
"""Draws bits for ids: unpredictable ones are not needed, and would take a system call each."""


class Session:
    """What is recorded of this process, and where to.

    Attributes:
        config: The settings in force.
        redactor: The redaction rules in force.
        process_id: 64 random bits.
        trace: Trace id of the process's own run, 128 random bits.
        main_span_id: Span id of that run.
        folder: The recording folder.
        parent: The recorded process this one was forked from or started by, as
            (process id, sequence number of the event), or None.
        forking: Threads that are about to fork: meanwhile each event asks ``admit``, so
            that the child, which shares the ring for an instant, gets no for an answer.
    """

    def __init__(
        self, config: Config, folder: str, *, parent: tuple[int, int] | None, redactor: Redactor | None = None
    ) -> None:
        self.config = config
        self.redactor = redactor or Redactor(config.redact_keys, config.redact_values)
        self.folder = os.path.abspath(folder)
        self.parent = parent
        self.forking: list[int] = []
        self.process_id = 0
        self.trace = 0
        self.main_span_id = 0
        self.pid = 0
        self.ring_path = ""
        self.map: Any = None
        self.has_ended = False
        self.problems: dict[str, str] = {}
        self.at_begin: list[Callable[[], None]] = []
        self.at_end: list[Callable[[], dict[str, Any]]] = []

    def begin(self) -> None:
        """Make the ring, write the head of the stream, and let events in.

        Raises:
            ClewError: No ring file could be made.
        """
        _random.seed(os.urandom(32))  # a forked child draws ids of its own
        self.process_id = random_bits(64) or 1
        self.trace = random_bits(128) or 1
        self.main_span_id = random_bits(64) or 1
        self.pid = os.getpid()
        self._make_ring()
        try:
            self._open()
        except BaseException:
            self.abandon()
            raise

    def _open(self) -> None:
        capacity = self.config.buffer_events
        journal_at = ring.journal_offset(capacity)
        journal.open_journal(self.map, journal_at, JOURNAL_SIZE)
        journal.write_process(self._describe())
        definitions.reset()
        sites.reset()
        slots = memoryview(self.map)[ring.HEADER_SIZE : ring.HEADER_SIZE + capacity * ring.SLOT_SIZE]
        buffer.open_gate(slots, capacity, self.admit)
        self._first_events()
        for action in self.at_begin:
            action()

    def _make_ring(self) -> None:
        capacity = self.config.buffer_events
        if capacity & (capacity - 1):
            capacity = self.config.buffer_events = 1 << capacity.bit_length()
        size = ring.file_size(capacity, JOURNAL_SIZE)
        name = ring.file_name(self.folder, self.pid, self.process_id)
        reason: OSError | None = None
        for folder in (*ring.MEMORY_FOLDERS, self.folder):
            path = os.path.join(folder, name)
            try:
                self.map = _reserve(path, size)
            except OSError as error:
                reason = error
                continue
            self.ring_path = path
            ring.IDENTITY.pack_into(
                self.map,
                0,
                ring.MAGIC,
                ring.VERSION,
                ring.SLOT_SIZE,
                capacity,
                self.process_id,
                self.pid,
                0,
                ring.start_ticks(self.pid),
                JOURNAL_SIZE,
            )
            home = os.fsencode(self.folder)
            ring.FOLDER_LENGTH.pack_into(self.map, ring.FOLDER_OFFSET, len(home))
            start = ring.FOLDER_OFFSET + ring.FOLDER_LENGTH.size
            self.map[start : start + len(home)] = home
            ring.NUMBER.pack_into(self.map, ring.NEXT_SEQ, 1)
            return
        raise ClewError(
            "no-memory-file",
            f"the {size} bytes that events wait in cannot be had in {ring.MEMORY_FOLDERS[0]} nor in {self.folder} ({reason})",
            "expected that much free space in one of them",
            "make room, or lower the setting buffer_events",
        )

    def _describe(self) -> dict[str, Any]:
        """Return the head of the stream: what this process is."""
        config = self.config
        mono, wall = time.monotonic_ns(), time.time_ns()
        head: dict[str, Any] = {
            "pid": self.pid,
            "parent_pid": os.getppid(),
            "service": config.service or default_service(),
            "environment": config.environment,
            "host": os.uname().nodename,
            "argv": self.redactor.arguments(sys.orig_argv),
            "executable": sys.executable,
            "python": ".".join(map(str, sys.version_info[:3])),
            "implementation": sys.implementation.name,
            "cwd": os.getcwd() if os.path.isdir(".") else "",
            "monotonic_ns": mono,
            "wall_ns": wall,
            "ring": self.ring_path,
            "trace": f"{self.trace:032x}",
            "settings": {
                "calls": config.calls,
                "watch": list(config.watch),
                "sample": config.sample,
                "locks": config.locks,
            },
        }
        if self.parent is not None:
            head["parent"] = [f"{self.parent[0]:016x}", self.parent[1]]
        return head

    def _first_events(self) -> None:
        """Define the process, its main thread and its own run, and record their start."""
        name = self.config.service or default_service()
        definitions.define_entity(EntityKind.PROCESS, name, type_name="process")
        definitions.define_entity(EntityKind.THREAD, "MainThread", type_name="thread", parent=PROCESS_ENTITY)
        buffer.set_thread(MAIN_THREAD_ENTITY)
        span = definitions.next_span()
        journal.write_span(
            (
                span,
                self.trace >> 64,
                self.trace & (1 << 64) - 1,
                self.main_span_id,
                0,
                0,
                SpanKind.INTERNAL,
                SpanRole.RUN,
                0,
                name,
            )
        )
        seq = buffer.emit_at(EventKind.LIFE_PROCESS_START, PROCESS_ENTITY, 0)
        if self.parent is not None and self.parent[1]:
            journal.write_remote_cause(seq, *self.parent)
        buffer.emit_at(EventKind.LIFE_RUN_START, PROCESS_ENTITY, 0, cause=seq)

    def admit(self, seq: int) -> int:
        """Return *seq*, a number beyond the limit, if there is room by now, else 0."""
        if os.getpid() != self.pid:
            return 0
        mapping = self.map
        capacity = self.config.buffer_events
        limit = ring.NUMBER.unpack_from(mapping, ring.NEXT_SEQ)[0] + capacity
        if seq < limit:
            if not self.forking:
                buffer.raise_limit(limit)
                if self.forking:  # since that instant
                    buffer.raise_limit(0)
            return seq
        if ring.NUMBER.unpack_from(mapping, ring.REFUSED_TO)[0] <= limit - capacity:
            ring.NUMBER.pack_into(mapping, ring.REFUSED_FROM, limit)
        ring.NUMBER.pack_into(mapping, ring.REFUSED_TO, seq + 1)
        return 0

    def before_exec(self) -> None:
        """Tell the drain that the ring ends here if this process becomes another program."""
        if self.map is not None and not self.has_ended:
            ring.NUMBER.pack_into(self.map, ring.STATE, ring.STATE_EXEC)

    def after_failed_exec(self) -> None:
        """Tell the drain that this process goes on."""
        if self.map is not None and not self.has_ended:
            ring.NUMBER.pack_into(self.map, ring.STATE, ring.STATE_OPEN)

    def end(self, **values: Any) -> None:
        """Record the end of this process and close the gate; the drain does the rest.

        Args:
            values: What to note in the END chunk.
        """
        if self.map is None or self.has_ended or self.pid != os.getpid():
            return
        self.has_ended = True
        buffer.emit_at(EventKind.LIFE_PROCESS_END, PROCESS_ENTITY, 0)
        if self.problems:
            values["problems"] = self.problems
        for action in self.at_end:
            values |= action()
        if definitions.unnamed:
            values["unnamed_entities"] = definitions.unnamed
        journal.write_end(values)
        buffer.set_admission()
        ring.NUMBER.pack_into(self.map, ring.STATE, ring.STATE_ENDED)

    def abandon(self) -> None:
        """Record nothing (more) and remove the ring."""
        buffer.set_admission()
        journal.close_journal()
        with suppress(OSError):
            os.unlink(self.ring_path)

    def let_go(self) -> None:
        """Unmap the ring, in a forked child that has its own, unless something still looks at it."""
        mapping, self.map = self.map, None
        if sys.version_info >= (3, 13):  # see _map
            with suppress(BufferError):
                mapping.close()

    def wait_for_drain(self, seconds: float = EXIT_WAIT_S) -> bool:
        """Wait until the ring file is gone, which is when everything stands in the stream."""
        deadline = time.monotonic() + seconds
        while os.path.exists(self.ring_path):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True


def default_service() -> str:
    """Return the name of the script or module that runs."""
    arguments = iter(sys.orig_argv[1:])
    for argument in arguments:
        if argument == "--check-hash-based-pycs":
            next(arguments, "")
        elif argument == "-" or not argument.startswith("-"):
            name = os.path.basename(argument.rstrip("/"))
            return name.removesuffix(".py").removeprefix("-") or "python"
        elif not argument.startswith("--"):
            # Options may stand together, and the value of the last of them may follow at once.
            for at, option in enumerate(argument[1:], 2):
                if option == "c":
                    return "python -c"
                if option in "mWX":
                    value = argument[at:] or next(arguments, "")
                    if option == "m":
                        return value or "python"
                    break
    return "python"


def _reserve(path: str, size: int) -> Any:
    """Map a new file of *size* bytes whose space is reserved.

    Reserved now, because a full file system must be an error here and not a SIGBUS in
    the middle of the observed program.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
        return _map(fd, size)
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(fd)


def _map(fd: int, size: int) -> Any:
    """Map *fd* without keeping a descriptor open.

    ``mmap`` before 3.13 duplicates the descriptor and closes the duplicate with itself. A
    program that closes all descriptors (a daemon) and opens its own would have one of those
    closed. So the duplicate is closed here, and the mapping kept by something the
    interpreter clears last, when the program's files are closed.
    """
    if sys.version_info >= (3, 13):
        return mmap.mmap(fd, size, trackfd=False)
    duplicate = os.dup(fd)  # the lowest number that is free, as the one ``mmap`` makes
    os.close(duplicate)
    mapping = mmap.mmap(fd, size)
    try:
        if os.path.sameopenfile(fd, duplicate):
            os.close(duplicate)
            _codecs.register_error(f"clew.{id(mapping)}", lambda _, __=mapping: ("", 0))  # pyright: ignore[reportUnknownMemberType, reportUnknownLambdaType]
    except OSError:
        pass  # another thread opened a file in between: the duplicate has another number
    return mapping
