"""Function calls through ``sys.setprofile`` (Python 3.11, which has nothing else); see ``calls``.

The profile function is called for every call and return of Python and C functions in
its thread, so code that is not the user's costs about 200 ns a call. Each thread has a
function of its own, whose state is in a closure cell: 30 ns less than a thread-local.

It is removed by the interpreter when an exception passes through it, which
cannot be prevented: a signal handler of the program may raise in its first instruction,
and at the limit of recursion it cannot be called at all. And it is replaced when the
program profiles itself. Calls are then no longer recorded in that thread, which is noted.
"""

from __future__ import annotations

import sys
from time import monotonic_ns

from clew.format.ring import SLOT_SIZE
from clew.probe import buffer
from clew.probe.imports import when_imported
from clew.probe.patching import hide_frame, report
from clew.probe.seams import calls
from clew.probe.seams.calls import (
    FAILED,
    GENERATOR_LIKE,
    LOST,
    NEVER,
    OK,
    QUICK_NS,
    START,
    START_RESUMED,
    SUSPENDED,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType, ModuleType
    from typing import Any

    from clew.probe.buffer import ThreadState

# Of 3.11: importing `opcode` for three numbers would cost the program more than they do.
RETURN_VALUE = 83
YIELD_VALUE = 86
RESUME = 151

_functions = calls.functions
_suspended = calls.suspended
_span = buffer.SPAN.get
_pack = calls.pack_start
_pack_resumed = calls.pack_resumed
# What ``buffer`` has of the ring there is now; see ``renew``.
_next_number: Any = None
_slots: Any = None
_mask = 0
_durations: Any = None
_kinds: Any = None
_capacity = 0
_is_on = False
_thrown: dict[int, int] = {}
"""By ``id()`` of the frame of a running generator: where it stood when an exception was thrown into it."""


def renew() -> None:
    """Write from now on into the ring there is now."""
    global _next_number, _slots, _mask, _durations, _kinds, _capacity
    _next_number, _slots, _mask = buffer.next_number, buffer.slots, buffer.mask
    _durations, _kinds = calls.words_of(buffer.slots)
    _capacity = buffer.mask + 1
    if _is_on and getattr(sys.getprofile(), "__module__", "") == __name__:
        sys.setprofile(make_profiler(buffer.thread_state()))  # a forked child's thread is another one


def start() -> None:
    """Profile this thread, and those that ``threading`` starts from here on."""
    global _is_on
    if sys.getprofile() is not None:
        report("calls", "the program has a profiler of its own")
        return
    _is_on = True
    sys.setprofile(make_profiler(buffer.thread_state()))
    when_imported("threading", _profile_new_threads)


def _profile_new_threads(threading: ModuleType) -> None:
    if threading.getprofile() is None:
        threading.setprofile(_adopt)


def stop() -> None:
    """Profile this thread no longer; the functions of others do nothing any more."""
    global _is_on
    if not _is_on:
        return
    _is_on = False
    found = sys.getprofile()
    if getattr(found, "__module__", "") == __name__:
        sys.setprofile(None)
    else:
        report(
            "calls",
            "the profile function was removed before the end: by the program's own profiler, "
            "or because an exception passed through it (a signal handler's, or the limit of recursion)",
        )
    threading: Any = sys.modules.get("threading")
    if threading is not None and threading.getprofile() is _adopt:
        threading.setprofile(None)


def _adopt(frame: FrameType, event: str, arg: object) -> None:
    """Give a new thread its function when user code is first called in it.

    Not before: by then the hook around ``Thread.run`` has said which thread it is.
    """
    if event == "call":
        try:
            code = frame.f_code
            site = _functions.get(id(code))
            if site is None:
                site = calls.meet(code)
            if not site:
                return
            profile = make_profiler(buffer.thread_state())
            sys.setprofile(profile)
        except RecursionError:
            return
        except BaseException as error:
            if not calls.is_own(error):
                hide_frame(error)
                raise
            return
        profile(frame, event, arg)


def _outcome_of(frame: FrameType, code: CodeType, value: object) -> int:
    """Tell from the instruction at which *frame* stands how it is left.

    A generator that catches what was thrown into it and yields None at the very place
    where it stood is taken for one that the exception left: nothing tells them apart.
    """
    at = frame.f_lasti
    thrown_at = _thrown.pop(id(frame), -1)
    operation = code.co_code[at]
    if operation == RETURN_VALUE:
        return OK
    return SUSPENDED if operation == YIELD_VALUE and (value is not None or at != thrown_at) else FAILED


def make_profiler(state: ThreadState) -> Any:
    """Return the profile function of the thread of *state*.

    Written out at length on purpose: it runs several times for every call, and each
    call into a function of ours would add a tenth of its cost.
    """

    def profile(frame: FrameType, event: str, arg: object) -> None:
        try:
            if event == "call":
                code = frame.f_code
                try:
                    site = _functions[id(code)]
                except KeyError:
                    site = calls.meet(code)
                if not site or not _is_on:
                    return
                span = _span()
                seq = _next_number() if span else LOST
                if seq >= buffer.limit:
                    seq = calls.admit(seq)
                first = 0
                if site < 0:
                    site = -site
                    bytecode = code.co_code
                    at = frame.f_lasti
                    # Called: at RESUME 0. Thrown into: at the YIELD_VALUE where it stood.
                    if bytecode[at] != RESUME:
                        _thrown[id(frame)] = at
                        first = _suspended.get(id(frame), -1)
                    elif bytecode[at + 1]:
                        first = _suspended.get(id(frame), -1)
                if seq > 0:
                    slot = seq & _mask
                    since = monotonic_ns()
                    if first:
                        cause = max(0, first)
                        _pack_resumed(_slots, slot * SLOT_SIZE, since, cause, state.scope, site, span, START_RESUMED)
                    else:
                        _pack(_slots, slot * SLOT_SIZE, since, state.scope, site, span, START)
                    state.calls = (state.calls, code, seq, slot, since, first)
                else:
                    state.calls = (state.calls, code, LOST, 0, monotonic_ns() if span else NEVER, first)
            elif event == "return":
                entry = state.calls
                outer, entered, seq, slot, since, first = entry
                code = frame.f_code
                if entered is not code and not _functions.get(id(code)):
                    return
                # A function that an exception leaves says None, and stands elsewhere.
                outcome = OK
                if arg is None or code.co_flags & GENERATOR_LIKE:
                    outcome = _outcome_of(frame, code, arg)
                if entered is not code:
                    calls.end_other(state, code, outcome)
                    return
                state.calls = outer
                duration = monotonic_ns() - since
                if duration < QUICK_NS and buffer.limit - seq <= _capacity:
                    _durations[slot] = duration
                    if outcome != OK:
                        _kinds[slot] = START_RESUMED | outcome if first else START | outcome
                else:
                    calls.end_late(state, entry, outcome)
                if outcome == SUSPENDED:
                    if first <= 0:
                        calls.note_suspended(frame, seq)
                elif first:
                    _suspended.pop(id(frame), None)
        except RecursionError:
            return
        except BaseException as error:
            if not calls.is_own(error):
                hide_frame(error)
                raise

    return profile
