"""The ring of events: what the observed program's own threads run for every event.

Any thread may emit at any time, also from a signal handler or a destructor: nothing
here takes a lock. A sequence number is taken from a counter, which reserves a slot;
the slot is filled by one call that the GIL makes atomic. ``limit`` is the first
number that needs permission: below it, a comparison is all that is paid. Beyond it, the
ring is asked how far it was emptied; when the drain cannot keep up, numbers pass the end
of the ring, and those events are dropped and counted, never waited for.

Figures behind the choices (ns per event, Python 3.11): packing into a mapping 105,
into a list of tuples 43, but the list costs 80 more to turn into columns, keeps 200
bytes an event and dies with the process; a clock read 48; thread state in a
``_thread._local`` 29, by ``get_ident`` in a dict 44 (and wrong when an ident is reused).
"""

from __future__ import annotations

import itertools
import weakref
from _thread import _local, get_ident  # pyright: ignore[reportPrivateUsage]  threading.local, without threading
from contextvars import ContextVar
from time import monotonic_ns

from clew.format.ring import SLOT, SLOT_SIZE
from clew.model.kinds import EntityKind
from clew.probe import journal, sites
from clew.probe.definitions import define_entity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAIN_SPAN = 1
"""Number of the span of the process's own run: where events belong by default."""
SPAN: ContextVar[int] = ContextVar("clew_span", default=MAIN_SPAN)
"""Number of the span that runs here; 0 in a run that is not sampled."""

_site_here = sites.site_here
_pack = SLOT.pack_into
_span = SPAN.get

# The inside of ``emit``, also read by seams that write it out for speed. Only the
# functions at the end of this module change it.
next_number: Callable[[], int] = itertools.count(1).__next__
"""Takes the next sequence number."""
slots: Any = bytearray(SLOT_SIZE)
"""The ring's memory."""
mask = 0
"""Slots in the ring, minus 1."""
limit = 0
"""The first number that needs permission."""
admit: Callable[[int], int] = lambda number: 0
"""Gives it: returns the number, or 0."""


NO_CALL: Any = (None, None, 0, 0, 0, 0)
"""``ThreadState.calls`` of a thread that is in no recorded function."""


class ThreadState:
    """What clew knows of one thread while it runs.

    Attributes:
        scope: Entity number of the task or thread whose code runs.
        cursor: Sequence number of the latest event of that code: the cause of what it
            wakes next. 0 where whatever wakes comes from outside (I/O, timers).
        thread: Entity number of the thread itself.
        ident: What ``_thread.get_ident()`` is in it.
        calls: With ``--calls``, the functions it is in (``seams.calls``).
    """

    __slots__ = ("__weakref__", "calls", "cursor", "ident", "scope", "thread")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.scope = thread
        self.cursor = 0
        self.ident = get_ident()
        self.calls = NO_CALL


class _Local(_local):
    state: ThreadState


local = _Local()
states: weakref.WeakValueDictionary[int, ThreadState] = weakref.WeakValueDictionary()
"""The states of living threads, by ident: for the sampler, which looks at all of them."""


def _define_thread() -> int:
    return define_entity(EntityKind.THREAD, "", type_name="thread")


define_thread: Callable[[], int] = _define_thread
"""Defines the calling thread, of which nothing is known yet; the seam of threads knows more."""


def thread_state() -> ThreadState:
    """Return the state of the calling thread, making it at first use."""
    try:
        return local.state
    except AttributeError:
        return set_thread(define_thread())


def set_thread(thread: int) -> ThreadState:
    """Make entity *thread* the calling thread, at its beginning."""
    state = local.state = ThreadState(thread)
    states[state.ident] = state
    return state


def emit(what: int, entity: int = 0, wait_ns: int = 0, arg: int = 0, cause: int = 0) -> int:
    """Record one event of the running code.

    Args:
        what: ``kind | op << 8 | outcome << 16``.
        entity: Number of what it was done to.
        wait_ns: How long the code waited for it.
        arg: A number whose meaning depends on the kind, below 2**64.
        cause: Sequence number of the event that enabled it, when it is known.

    Returns:
        Its sequence number; 0 if it was dropped or is not sampled.

    Thread safety: any thread, any time, re-entrant.
    """
    span = _span()
    if not span:
        return 0
    seq = next_number()
    if seq >= limit:
        seq = admit(seq)
        if not seq:
            return 0
    try:
        state = local.state
    except AttributeError:
        state = thread_state()
    _pack(
        slots,
        (seq & mask) * SLOT_SIZE,
        monotonic_ns(),
        cause,
        wait_ns,
        arg,
        entity,
        state.scope,
        _site_here(3),
        span,
        what,
    )
    state.cursor = seq
    return seq


def emit_at(what: int, entity: int, site: int, wait_ns: int = 0, arg: int = 0, cause: int = 0) -> int:
    """Record one event as ``emit`` does, at a *site* the caller knows."""
    span = _span()
    if not span:
        return 0
    seq = next_number()
    if seq >= limit:
        seq = admit(seq)
        if not seq:
            return 0
    try:
        state = local.state
    except AttributeError:
        state = thread_state()
    _pack(slots, (seq & mask) * SLOT_SIZE, monotonic_ns(), cause, wait_ns, arg, entity, state.scope, site, span, what)
    state.cursor = seq
    return seq


def emit_with(what: int, entity: int, values: dict[str, Any], *, wait_ns: int = 0, arg: int = 0, cause: int = 0) -> int:
    """Record one event that carries attributes: ``emit``, with redacted JSON *values*."""
    seq = emit_at(what, entity, _site_here(3), wait_ns, arg, cause)
    if seq:
        journal.write_attrs(seq, values)
    return seq


attach = journal.write_attrs
"""Add attributes to an event that was emitted: (sequence number, redacted JSON values)."""


def open_gate(memory: Any, capacity: int, decide: Callable[[int], int]) -> None:
    """Let events into *memory*, numbering them from 1.

    Args:
        memory: Room for *capacity* slots.
        capacity: A power of two.
        decide: Becomes ``admit``: returns the number beyond the limit that it is asked
            about, or 0 to drop the event.
    """
    global slots, mask, next_number, local
    local = _Local()
    slots = memory
    mask = capacity - 1
    next_number = itertools.count(1).__next__
    set_admission(decide)


def leave_ring() -> None:
    """Let go of the ring and let no event in: a forked child must not write into its parent's."""
    global slots, mask, local
    local = _Local()
    slots = bytearray(SLOT_SIZE)
    mask = 0
    set_admission()


def raise_limit(number: int) -> None:
    """Let numbers below *number* in without asking."""
    global limit
    limit = number


def _refuse(number: int) -> int:
    return 0


def set_admission(decide: Callable[[int], int] = _refuse) -> Callable[[int], int]:
    """Ask *decide* about every further event; by default, let none in.

    Returns:
        What decided before.
    """
    global limit, admit
    before, admit = admit, decide
    limit = 0
    return before
