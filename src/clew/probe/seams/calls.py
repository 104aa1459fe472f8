"""Function calls of user code (``--calls``): entered, left, suspended, resumed.

A call is one event, ``life.call_start``, whose slot is completed in place when the
function is left within ``QUICK_NS``; one that takes longer gets a ``life.call_end``.
That halves the cost and the bytes of the calls there are most of. A coroutine or
generator that suspends is left and, when it goes on, entered again: an interval is
there only while the function runs, so that intervals nest in each thread.

Where the interpreter has ``sys.monitoring`` (3.12 on) code that is not the user's is
switched off where it stands and costs nothing from then on (``_calls_monitoring``). On
3.11 there is only ``sys.setprofile``, which is called for everything
(``_calls_profile``). Both keep the open calls of a thread in ``ThreadState.calls``, a
linked list of tuples:

    (outer, code, seq, slot, since, first)

``outer`` is the entry of the calling function, ``since`` when this one was entered,
``first`` the sequence number at which a function that was resumed now had been called,
-1 if that is not known, and 0 for one that was called now. Measured, ns per call and return
(3.12, an idle machine): a list with append and pop costs 45 more, ``buffer.emit_at``
instead of the packing written out 60, a frame for every call 80.

Not done: a function is not matched to its entry by its frame but by its code, since
``sys.monitoring`` gives no frame and asking for one makes the interpreter build it. So
after an end that was not seen, a recursive function is one level off until it is left.
"""

from __future__ import annotations

import atexit
import os
import struct
import sys
from time import monotonic_ns

from clew.format.ring import ARG_OFFSET, KIND_OFFSET, SLOT_SIZE
from clew.model.kinds import EventKind, Operation, Outcome
from clew.probe import buffer, sites
from clew.probe.patching import Hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType
    from typing import Any

    from clew.probe.buffer import ThreadState
    from clew.probe.session import Session

START = int(EventKind.LIFE_CALL_START)
START_RESUMED = START | Operation.RESUME << 8
END = int(EventKind.LIFE_CALL_END)
OK = Outcome.OK << 16
FAILED = Outcome.FAILED << 16
SUSPENDED = Outcome.SUSPENDED << 16

QUICK_NS = 5_000_000
"""A call shorter than this gets its end in its own slot (see ``asyncio_loop.QUICK_NS``)."""
_WORD = 4
pack_start = struct.Struct("@Q28xIIII").pack_into
"""Packs time, scope, site, span and kind; the padding fills the rest with zeros."""
pack_resumed = struct.Struct("@QQ20xIIII").pack_into
"""The same with a cause."""

LOST = -1 << 62
"""Sequence number of a call whose start was dropped, or is not sampled."""
NEVER = 1 << 62
"""When a call that is not sampled began: no duration it gets is worth an event."""

MAX_CODES = 8192
"""Functions remembered; beyond it all are met anew."""
MAX_SUSPENDED = 65_536
"""Suspended functions remembered by their frame; beyond it all lose the link to where
they were called. 3.13 closes a generator without an event, which leaves its entry."""
MAX_DEPTH = 10_000
"""Open calls of a thread; more can only be entries whose end was not seen."""

GENERATOR_LIKE = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR

_getframe: Any = sys._getframe
hooks = Hooks("calls")
functions: dict[int, int] = {}
"""By ``id()`` of a code object: the site of the function, negative if it can suspend, 0
if it is not user code."""
suspended: dict[int, int] = {}
"""By ``id()`` of a suspended function's frame: the event at which it was called."""
_codes: list[CodeType] = []
_stop: Callable[[], None] | None = None


def install(module: ModuleType, session: Session) -> None:
    """Record calls from here on, in this thread and those that start later (3.11), or in all (3.12 on)."""
    global _stop
    if sys.version_info >= (3, 12):
        from clew.probe.seams import _calls_monitoring as mechanism
    else:
        from clew.probe.seams import _calls_profile as mechanism
    mechanism.renew()
    session.at_begin.append(forget)
    session.at_begin.append(mechanism.renew)
    _stop = mechanism.stop
    os.register_at_fork(after_in_child=_stop_in_child if not session.config.children else _leave_all)
    atexit.register(stop)
    mechanism.start()


def stop() -> None:
    """Record no further call."""
    global _stop
    action, _stop = _stop, None
    if action is not None:
        action()


def _stop_in_child() -> None:
    _leave_all()
    stop()


def _leave_all() -> None:
    """Forget what the forked child is in: those calls stand in the ring of its parent."""
    state = getattr(buffer.local, "state", None)
    if state is not None:
        state.calls = buffer.NO_CALL


def forget() -> None:
    """Forget every function: a forked child defines its sites anew."""
    functions.clear()
    suspended.clear()
    _codes.clear()


def words_of(memory: Any) -> tuple[Any, Any]:
    """Return two views of the ring with a 32-bit word for each slot: what changes at the end of a call.

    Storing a word takes a fifth of the time of ``pack_into``.

    Returns:
        The lower half of ``arg``, which is all of a short duration; and kind, operation
        and outcome.
    """
    words = memoryview(memory).cast("I")
    lower = ARG_OFFSET // _WORD + (sys.byteorder == "big")
    return words[lower :: SLOT_SIZE // _WORD], words[KIND_OFFSET // _WORD :: SLOT_SIZE // _WORD]


def meet(code: CodeType) -> int:
    """Return what ``functions`` is to hold for *code*, which was not seen before."""
    if len(_codes) >= MAX_CODES:
        _codes.clear()
        functions.clear()
    if sites.tier_of(code) != sites.USER or _is_generated(code):
        site = 0
    else:
        site = sites.site_of_code(code, -1)
        if code.co_flags & GENERATOR_LIKE:
            site = -site
    _codes.append(code)  # keeps the address from becoming another code's
    functions[id(code)] = site
    return site


def _is_generated(code: CodeType) -> bool:
    """Tell whether *code*, which is about to run two frames up, was made by ``namedtuple`` and the like.

    They execute text, as the user may, too: then it is known by the module it runs in. (What
    ``dataclass`` makes has a name of its own, and is no user code to ``sites``.)
    """
    if code.co_filename.startswith("<attrs generated"):
        return True
    if code.co_filename != "<string>":
        return False
    frame = _getframe(3)
    if frame.f_globals.get("__name__") not in sys.modules:
        return True
    caller = frame.f_back
    return code.co_name == "<module>" and caller is not None and sites.tier_of(caller.f_code) == sites.HIDDEN


def admit(seq: int) -> int:
    """Return *seq*, a number beyond the limit, if there is room by now, else ``LOST``.

    While recording works, this is called once for every ring full of events: often
    enough to see that entries without an end do not pile up.
    """
    limit = buffer.limit
    seq = buffer.admit(seq)
    if buffer.limit != limit:
        state = buffer.thread_state()
        entry = state.calls
        for _ in range(MAX_DEPTH):
            if entry[1] is None:
                break
            entry = entry[0]
        else:
            state.calls = buffer.NO_CALL
    return seq or LOST


def note_suspended(frame: Any, seq: int) -> None:
    """Remember that the function in *frame*, which suspends, was called at event *seq*."""
    if len(suspended) >= MAX_SUSPENDED:
        suspended.clear()
    if seq > 0:
        suspended[id(frame)] = seq
    else:
        suspended.pop(id(frame), None)


def end_late(state: ThreadState, entry: Any, outcome: int) -> None:
    """Record the end of a call whose slot is not, or no longer, to be completed.

    Nothing tells of a short call whose start was dropped; a long one is still known by
    its end, which has the function, the time and the duration.
    """
    _, code, seq, _, since, _ = entry
    duration = monotonic_ns() - since
    if seq == LOST:
        if duration < QUICK_NS:
            return
        seq = 0
    cursor = state.cursor
    buffer.emit_at(END | outcome, 0, sites.site_of_code(code, -1), 0, duration, seq)
    state.cursor = cursor  # the causes of wakes are the same with and without --calls


def end_other(state: ThreadState, code: CodeType, outcome: int) -> None:
    """Record the end of a function that is not the innermost open call.

    It was entered before recording began, and is none; or calls inside it are not over:
    greenlets leave a stack in the middle and come back to it. Those stay open.
    """
    inside: list[Any] = []
    entry = state.calls
    while entry[1] is not None and entry[1] is not code:
        if len(inside) >= MAX_DEPTH:
            state.calls = buffer.NO_CALL
            return
        inside.append(entry)
        entry = entry[0]
    if entry[1] is None:
        return
    calls = entry[0]
    if "greenlet" in sys.modules:
        for open_call in reversed(inside):
            calls = (calls, *open_call[1:])
    state.calls = calls
    end_late(state, entry, outcome)


def is_own(error: BaseException) -> bool:
    """Tell whether *error*, caught in a hook, is the hook's own; if so, switch it off.

    Otherwise a signal handler of the program raised it while the hook ran, or it is an
    interrupt: then it must reach the program. (At the limit of recursion this could not
    be called; hooks then do nothing, as the program is about to meet the limit itself.)
    """
    if not isinstance(error, Exception) or _passed_through_program(error):
        return False
    stop()
    hooks.failed(error)
    return True


def _passed_through_program(error: BaseException) -> bool:
    traceback = error.__traceback__
    while traceback is not None:
        if sites.tier_of_file(traceback.tb_frame.f_code.co_filename) != sites.HIDDEN:
            return True
        traceback = traceback.tb_next
    return False
