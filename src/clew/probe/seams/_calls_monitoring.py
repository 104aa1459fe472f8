"""Function calls through ``sys.monitoring`` (Python 3.12 on); see ``calls``.

The callbacks are written out at length on purpose: they run for every call of every
user function, and each call into a function of ours would add a tenth of their cost.
"""

from __future__ import annotations

import sys
from time import monotonic_ns

from clew.format.ring import SLOT_SIZE
from clew.probe import buffer
from clew.probe.patching import hide_frame, report
from clew.probe.seams import calls
from clew.probe.seams.calls import FAILED, LOST, NEVER, OK, QUICK_NS, START, START_RESUMED, SUSPENDED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

_monitoring: Any = getattr(sys, "monitoring", None)
_DISABLE: Any = getattr(_monitoring, "DISABLE", None)
_getframe: Any = sys._getframe
_TOOLS = (4, 3, 5)
"""Tool ids to choose from: 0 to 2 are debuggers', coverage's and cProfile's by PEP 669."""
_EVENTS = ("PY_START", "PY_RESUME", "PY_THROW", "PY_RETURN", "PY_YIELD", "PY_UNWIND")

_tool = -1
_functions = calls.functions
_suspended = calls.suspended
_span = buffer.SPAN.get
_pack = calls.pack_start
_pack_resumed = calls.pack_resumed
# What ``buffer`` has of the ring there is now; see ``renew``.
_next_number: Any = None
_local: Any = None
_slots: Any = None
_mask = 0
_durations: Any = None
_kinds: Any = None
_capacity = 0


def renew() -> None:
    """Write from now on into the ring there is now."""
    global _next_number, _local, _slots, _mask, _durations, _kinds, _capacity
    _local = buffer.local
    _next_number, _slots, _mask = buffer.next_number, buffer.slots, buffer.mask
    _durations, _kinds = calls.words_of(buffer.slots)
    _capacity = buffer.mask + 1


def start() -> None:
    """Register the callbacks with a tool id nobody uses."""
    global _tool
    for tool in _TOOLS:
        if _monitoring.get_tool(tool) is None:
            break
    else:
        report("calls", "sys.monitoring has no free tool id")
        return
    _monitoring.use_tool_id(tool, "clew.calls")
    _tool = tool
    events = 0
    for name, callback in zip(_EVENTS, (_entered, _resumed, _resumed, _returned, _yielded, _unwound), strict=True):
        event = getattr(_monitoring.events, name)
        _monitoring.register_callback(tool, event, callback)
        events |= event
    _monitoring.set_events(tool, events)


def stop() -> None:
    """Take the callbacks away, in all threads."""
    global _tool
    tool, _tool = _tool, -1
    if tool >= 0 and _monitoring.get_tool(tool) == "clew.calls":
        _monitoring.set_events(tool, 0)
        for name in _EVENTS:
            _monitoring.register_callback(tool, getattr(_monitoring.events, name), None)
        _monitoring.free_tool_id(tool)


def _entered(code: CodeType, offset: int) -> Any:
    """PY_START: *code* is called."""
    try:
        try:
            site = _functions[id(code)]
        except KeyError:
            site = calls.meet(code)
        if site <= 0:
            if not site:
                return _DISABLE
            site = -site
        span = _span()
        seq = _next_number() if span else LOST
        if seq >= buffer.limit:
            seq = calls.admit(seq)
        try:
            state = _local.state
        except AttributeError:
            state = buffer.thread_state()
        since = monotonic_ns()
        if seq > 0:
            slot = seq & _mask
            _pack(_slots, slot * SLOT_SIZE, since, state.scope, site, span, START)
            state.calls = (state.calls, code, seq, slot, since, 0)
        else:
            state.calls = (state.calls, code, LOST, 0, since if span else NEVER, 0)
    except RecursionError:
        return None
    except BaseException as error:
        if not calls.is_own(error):
            hide_frame(error)
            raise


def _resumed(code: CodeType, offset: int, error: BaseException | None = None) -> Any:
    """PY_RESUME, PY_THROW: *code* goes on after it was suspended."""
    try:
        try:
            site = _functions[id(code)]
        except KeyError:
            site = calls.meet(code)
        if site >= 0:
            # An event of exceptions cannot be disabled.
            return _DISABLE if error is None else None
        span = _span()
        seq = _next_number() if span else LOST
        if seq >= buffer.limit:
            seq = calls.admit(seq)
        try:
            state = _local.state
        except AttributeError:
            state = buffer.thread_state()
        first = _suspended.get(id(_getframe(1)), -1)
        if seq > 0:
            slot = seq & _mask
            since = monotonic_ns()
            _pack_resumed(_slots, slot * SLOT_SIZE, since, max(0, first), state.scope, -site, span, START_RESUMED)
            state.calls = (state.calls, code, seq, slot, since, first)
        else:
            state.calls = (state.calls, code, LOST, 0, monotonic_ns() if span else NEVER, first)
    except RecursionError:
        return None
    except BaseException as problem:
        if not calls.is_own(problem):
            hide_frame(problem)
            raise


def _returned(code: CodeType, offset: int, value: object) -> Any:
    """PY_RETURN: *code* returns."""
    try:
        try:
            state = _local.state
        except AttributeError:
            return None if _functions.get(id(code)) else _DISABLE
        entry = state.calls
        outer, entered, seq, slot, since, first = entry
        if entered is not code:
            site = _functions.get(id(code))
            if site is None:
                site = calls.meet(code)
            if not site:
                return _DISABLE
            calls.end_other(state, code, OK)
            return None
        state.calls = outer
        duration = monotonic_ns() - since
        if duration < QUICK_NS and buffer.limit - seq <= _capacity:
            _durations[slot] = duration
        else:
            calls.end_late(state, entry, OK)
        if first:
            _suspended.pop(id(_getframe(1)), None)
    except RecursionError:
        return None
    except BaseException as error:
        if not calls.is_own(error):
            hide_frame(error)
            raise


def _yielded(code: CodeType, offset: int, value: object) -> Any:
    """PY_YIELD: *code* suspends, in ``await`` or ``yield``."""
    try:
        try:
            state = _local.state
        except AttributeError:
            return None if _functions.get(id(code)) else _DISABLE
        entry = state.calls
        outer, entered, seq, slot, since, first = entry
        if entered is not code:
            site = _functions.get(id(code))
            if site is None:
                site = calls.meet(code)
            if not site:
                return _DISABLE
            calls.end_other(state, code, SUSPENDED)
            return None
        state.calls = outer
        duration = monotonic_ns() - since
        if duration < QUICK_NS and buffer.limit - seq <= _capacity:
            _durations[slot] = duration
            _kinds[slot] = START_RESUMED | SUSPENDED if first else START | SUSPENDED
        else:
            calls.end_late(state, entry, SUSPENDED)
        if first <= 0:
            calls.note_suspended(_getframe(1), seq)
    except RecursionError:
        return None
    except BaseException as error:
        if not calls.is_own(error):
            hide_frame(error)
            raise


def _unwound(code: CodeType, offset: int, exception: BaseException) -> Any:
    """PY_UNWIND: an exception leaves *code*. Cannot be disabled."""
    try:
        if not _functions.get(id(code)):
            return
        try:
            state = _local.state
        except AttributeError:
            return  # it was entered before recording began
        entry = state.calls
        outer, entered, seq, slot, since, first = entry
        if entered is not code:
            calls.end_other(state, code, FAILED)
            return
        state.calls = outer
        duration = monotonic_ns() - since
        if duration < QUICK_NS and buffer.limit - seq <= _capacity:
            _durations[slot] = duration
            _kinds[slot] = START_RESUMED | FAILED if first else START | FAILED
        else:
            calls.end_late(state, entry, FAILED)
        if first:
            _suspended.pop(id(_getframe(1)), None)
    except RecursionError:
        return None
    except BaseException as error:
        if not calls.is_own(error):
            hide_frame(error)
            raise
