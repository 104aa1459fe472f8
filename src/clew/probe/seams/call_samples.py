"""Stacks of all threads at intervals (``--calls=sampled``).

The only part of clew that has a thread in the observed process, which is why it runs
only when it is asked for; docs/adr/0005 says what else was considered. The thread

- is unknown to ``threading``, and has all signals blocked;
- holds the GIL for one look (some 20 us), and no frame while it sleeps, so it keeps
  nothing of the program's alive;
- collects no garbage, as the program's finalizers would run in it, a thread they do not
  expect: collection is off during a look, in which no other thread runs, and nothing
  outside of it allocates an object that counts towards the next one. (On 3.12 alone, a
  collection that another thread has asked for just before it blocked can fall to it.)
- is gone while the process forks, so that the child is not the fork of a process with
  threads (Python 3.12 warns of those), and before it exits.
"""

from __future__ import annotations

import _signal
import _thread
import atexit
import gc
import os
import sys
import time
from time import monotonic_ns

from clew.format.ring import SLOT, SLOT_SIZE
from clew.model.kinds import EntityKind, EventKind
from clew.probe import buffer, journal, sites
from clew.probe.definitions import define_entity
from clew.probe.patching import Hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any

    from clew.probe.session import Session

SAMPLE = int(EventKind.LIFE_SAMPLE)
MAX_FRAMES = 256
"""Frames looked at in a stack, from the innermost."""
MAX_STACK = 100
"""Of those, frames of user and library code that are kept."""
MERGE_NS = 100_000_000
MERGE_MOST_NS = 1_000_000_000
"""Looks that see a thread do the same are recorded as one sample: after the first of
these at first, then after twice as long each time, up to the second."""
SLEEP_SHARE = 4
"""At least this part (1/n) of the interval is slept, however late a look comes."""
NAP_S = 0.01
NAP_NS = 10_000_000
"""Longest sleep at a time: so long it may take the thread to see that it is to end. A
lock it could be woken by would not do: to wait for it allocates a tuple."""
STOP_WAIT_S = 0.2
"""Longest wait for that."""

_current_frames: Any = sys._current_frames
_pack = SLOT.pack_into
hooks = Hooks("calls")
_sampler: Sampler | None = None


class _Seen:
    """What a thread was seen doing in looks that are not recorded yet."""

    __slots__ = ("duration_ns", "looked_ns", "merge_ns", "scope", "site", "stack", "thread")

    def __init__(self, now: int) -> None:
        self.thread = 0
        self.scope = 0
        self.site = 0
        self.stack: list[int] = []
        self.duration_ns = 0
        self.looked_ns = now
        self.merge_ns = MERGE_NS


class Sampler:
    """The thread that looks.

    Args:
        interval_ns: From one look to the next.
    """

    def __init__(self, interval_ns: int) -> None:
        self.interval_ns = interval_ns
        self._seen: dict[int, _Seen] = {}
        self._is_running = False
        self._task = ""

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._is_running:
            return
        self._seen.clear()
        self._task = ""
        self._is_running = True
        # It inherits the mask: at no instant is there another thread to take a signal.
        before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        try:
            _thread.start_new_thread(self._run, ())
        except BaseException:
            self._is_running = False
            raise
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)

    def stop(self) -> bool:
        """End the thread, and wait until the system has forgotten it; return whether it ran."""
        if not self._is_running:
            return False
        self._is_running = False
        deadline = monotonic_ns() + int(STOP_WAIT_S * 1e9)
        while (not self._task or os.path.exists(self._task)) and monotonic_ns() < deadline:
            time.sleep(0.0002)
        return True

    def forget(self) -> None:
        """Let go of the thread, which did not come along into a forked child."""
        self._is_running = False

    def _run(self) -> None:
        own = _thread.get_ident()
        self._task = f"/proc/self/task/{_thread.get_native_id()}"
        due = monotonic_ns() + self.interval_ns
        try:
            while self._is_running:
                left = due - monotonic_ns()
                if left > 0:
                    time.sleep(NAP_S if left > NAP_NS else left / 1e9)
                    continue
                self._look(own)
                due += self.interval_ns
                earliest = monotonic_ns() + self.interval_ns // SLEEP_SHARE
                if due < earliest:  # noqa: PLR1730  max() allocates a tuple
                    due = earliest
            self._look(own, is_last=True)
        except Exception as error:
            hooks.failed(error)

    def _look(self, own: int, *, is_last: bool = False) -> None:
        """Take one sample of every thread but the one with ident *own*.

        No other thread runs meanwhile, unless this takes the 5 ms after which Python
        lets another one.
        """
        collects = gc.isenabled()
        gc.disable()
        try:
            self._take(own)
            if is_last:
                self._flush()
        finally:
            if collects:
                gc.enable()

    def _flush(self) -> None:
        for seen in self._seen.values():
            _record(seen)

    def _take(self, own: int) -> None:
        frames: dict[int, FrameType] = _current_frames()
        for ident, frame in frames.items():
            if ident != own:
                self._look_at(ident, frame, monotonic_ns())
        if len(self._seen) >= len(frames):  # one of them has ended
            for ident in [ident for ident in self._seen if ident not in frames]:
                _record(self._seen.pop(ident))

    def _look_at(self, ident: int, frame: FrameType, now: int) -> None:
        seen = self._seen.get(ident)
        if seen is None:
            seen = self._seen[ident] = _Seen(now - self.interval_ns)
        state = buffer.states.get(ident)
        if state is not None:
            seen.thread = state.thread
            scope = state.scope
        else:
            # A thread without an event of its own yet, which would give it its number.
            scope = seen.thread = seen.thread or define_entity(EntityKind.THREAD, "", type_name="thread")
        stack, site = _stack_of(frame)
        if scope != seen.scope or stack != seen.stack:
            _record(seen)
            seen.scope, seen.stack, seen.site = scope, stack, site
            seen.merge_ns = MERGE_NS
        seen.duration_ns += now - seen.looked_ns
        seen.looked_ns = now
        if seen.duration_ns >= seen.merge_ns:
            _record(seen)
            seen.merge_ns = min(2 * seen.merge_ns, MERGE_MOST_NS)


def _stack_of(frame: FrameType) -> tuple[list[int], int]:
    """Return the sites of *frame* and its callers, and the innermost one of user code (or else of a library)."""
    stack: list[int] = []
    site = 0
    at: FrameType | None = frame
    for _ in range(MAX_FRAMES):
        if at is None or len(stack) >= MAX_STACK:
            break
        tier = sites.tier_of(at.f_code)
        if tier < sites.HIDDEN:
            stack.append(sites.site_of_line(at))
            if not site and tier == sites.USER:
                site = stack[-1]
        at = at.f_back
    return stack, site or (stack[0] if stack else 0)


def _record(seen: _Seen) -> None:
    """Record what was seen, on behalf of the thread that was seen.

    A run that is not sampled has no scope (0).
    """
    duration, seen.duration_ns = seen.duration_ns, 0
    if duration and seen.stack and seen.scope:
        seq = _admitted()
        if seq:
            _write(seq, seen.looked_ns, duration, seen.scope, seen.site, seen.stack)


def _admitted() -> int:
    seq = buffer.next_number()
    return seq if seq < buffer.limit else buffer.admit(seq)


def _write(seq: int, now: int, duration: int, scope: int, site: int, stack: list[int]) -> None:
    """Fill the slot; the span is left open, as nobody but the thread knows it."""
    _pack(buffer.slots, (seq & buffer.mask) * SLOT_SIZE, now, 0, 0, duration, 0, scope, site, 0, SAMPLE)
    journal.write_attrs(seq, {"stack": stack})


def install(module: ModuleType, session: Session) -> None:
    """Look at all threads from here on."""
    global _sampler
    _sampler = Sampler(session.config.calls_interval_us * 1000)
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child if session.config.children else _forget,
    )
    atexit.register(stop)
    _sampler.start()


def stop() -> None:
    """Look no more."""
    global _sampler
    sampler, _sampler = _sampler, None
    if sampler is not None:
        sampler.stop()


_was_running = False


def _before_fork() -> None:
    global _was_running
    _was_running = _sampler is not None and _sampler.stop()


def _after_fork_in_parent() -> None:
    if _sampler is not None and _was_running:
        _sampler.start()


def _forget() -> None:
    if _sampler is not None:
        _sampler.forget()


def _after_fork_in_child() -> None:
    """Take the child's first sample, which begins its recording, and look on.

    The thread must not begin it: the one that does is taken for the main thread.
    """
    _forget()
    if _sampler is None or not _was_running:
        return
    seq = _admitted()
    if seq:
        stack, site = _stack_of(sys._getframe(1))
        _write(seq, monotonic_ns(), 0, buffer.thread_state().scope, site, stack)
        _sampler.start()
