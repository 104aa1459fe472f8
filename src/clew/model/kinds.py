"""The closed vocabularies of a recording: event kinds, entity kinds, operations, outcomes.

The numbers are part of the recording format: they are only ever added to, never
changed or reused. The names people see are the slugs (``sync.acquire``).
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


class EventKind(IntEnum):
    """What happened. The family is the part of the slug before the dot."""

    # life: something begins to exist, runs, stops running, ends
    LIFE_PROCESS_START = 1
    LIFE_PROCESS_END = 2
    LIFE_THREAD_START = 3
    LIFE_THREAD_END = 4
    LIFE_TASK_START = 5
    LIFE_TASK_END = 6
    LIFE_TASK_CANCEL = 7
    LIFE_RUN_START = 8
    LIFE_RUN_END = 9
    LIFE_SPAN_START = 10
    LIFE_SPAN_END = 11
    LIFE_STEP = 12  # with its duration, unless it took long: then LIFE_STEP_END follows
    LIFE_STEP_END = 13
    LIFE_CALL_START = 14
    LIFE_CALL_END = 15
    LIFE_SAMPLE = 16
    # sync: waiting for one another. `acquire` and `wait` are recorded only when the
    # caller has to wait; the event that ends the wait carries how long it took.
    SYNC_ACQUIRE = 32
    SYNC_ACQUIRED = 33
    SYNC_RELEASE = 34
    SYNC_WAIT = 35
    SYNC_AWAIT = 36
    SYNC_ABANDON = 37
    SYNC_PUT = 38
    SYNC_GET = 39
    SYNC_SET = 40
    SYNC_CLEAR = 41
    SYNC_NOTIFY = 42
    SYNC_RESOLVE = 43
    SYNC_JOIN = 44
    # message: between processes
    MESSAGE_SEND = 64
    MESSAGE_RECEIVE = 65
    # state: variables of user code
    STATE_READ = 80
    STATE_WRITE = 81
    # effect: what crosses the boundary of the process
    EFFECT_CALL = 96
    EFFECT_RESULT = 97
    EFFECT_CHUNK = 98
    # error, log, gap, custom
    ERROR_RAISED = 112
    ERROR_HANDLED = 113
    ERROR_UNHANDLED = 114
    LOG_RECORD = 120
    GAP_DROPPED = 124
    CUSTOM_EVENT = 126

    @property
    def slug(self) -> str:
        """The name people see, e.g. ``life.task_start``."""
        family, _, verb = self.name.lower().partition("_")
        return f"{family}.{verb}"


class EntityKind(IntEnum):
    """What one can block on, be blocked in, or act upon."""

    TASK = 1
    THREAD = 2
    FUTURE = 3
    LOCK = 4
    RLOCK = 5
    SEMAPHORE = 6
    CONDITION = 7
    EVENT = 8
    BARRIER = 9
    QUEUE = 10
    CHANNEL = 11
    EXECUTOR = 12
    POOL = 13
    CONNECTION = 14
    TIMER = 15
    PROCESS = 16
    REQUEST = 17
    RESPONSE = 18
    FILE_OPERATION = 19
    CUSTOM = 20
    GROUP = 21
    VARIABLE = 22
    LOOP = 23

    @property
    def slug(self) -> str:
        """The name people see, e.g. ``semaphore``."""
        return self.name.lower()


SCOPE_KINDS = frozenset({EntityKind.PROCESS, EntityKind.THREAD, EntityKind.TASK})
"""Entities that run code: the ones an event's ``scope`` may name."""


class Operation(IntEnum):
    """What was being done: narrows an event kind, and says what a wait is for."""

    NONE = 0
    ACQUIRE = 1
    GET = 2
    PUT = 3
    NOTIFY_WAIT = 4
    EVENT_WAIT = 5
    BARRIER_WAIT = 6
    JOIN = 7
    AWAIT = 8
    SLEEP = 9
    GATHER = 10
    WAIT_ANY = 11
    WAIT_FOR = 12
    SUBMIT = 13
    RUN = 14
    TIMER = 15
    IO = 16
    CALLBACK = 17
    EAGER = 18
    SPAWN = 19
    FORK = 20
    THREADSAFE = 21
    EXEC = 22
    RESUME = 24
    # effects
    HTTP = 32
    DB = 33
    FILE = 34
    SUBPROCESS = 35
    CLOCK = 36
    RANDOM = 37
    ENV = 38
    MODEL = 39
    RETRIEVER = 40
    TOOL = 41
    PLANNER = 42
    VALIDATOR = 43
    SAFETY = 44
    PROMPT = 45
    # state
    ATTRIBUTE = 64
    ITEM = 65
    GLOBAL = 66
    DELETE = 67
    RESOURCE = 68

    @property
    def slug(self) -> str:
        """The name people see, e.g. ``wait_for``; empty for NONE."""
        return self.name.lower() if self else ""


class Outcome(IntEnum):
    """How something ended."""

    NONE = 0
    OK = 1
    FAILED = 2
    CANCELLED = 3
    TIMEOUT = 4
    WOULD_BLOCK = 5
    SUSPENDED = 6

    @property
    def slug(self) -> str:
        """The name people see, e.g. ``cancelled``; empty for NONE."""
        return self.name.lower() if self else ""


class SpanKind(IntEnum):
    """The side of a call a span stands for (OpenTelemetry's span kinds)."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2
    PRODUCER = 3
    CONSUMER = 4

    @property
    def slug(self) -> str:
        """The name people see, e.g. ``server``."""
        return self.name.lower()


class SpanRole(IntEnum):
    """Whether a span opens a run of its own in this process."""

    STEP = 0
    RUN = 1

    @property
    def slug(self) -> str:
        """The name people see: ``step`` or ``run``."""
        return self.name.lower()


Vocabulary: TypeAlias = "type[EventKind | EntityKind | Operation | Outcome | SpanKind | SpanRole]"


@lru_cache(maxsize=1024)
def slug_of(vocabulary: Vocabulary, number: int) -> str | None:
    """Return the name people see for *number*, None where a newer recorder knew more names."""
    try:
        return vocabulary(number).slug
    except ValueError:
        return None
