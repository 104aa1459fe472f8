"""Exceptions as attributes of events: type, message, stack, chain of causes.

The stack is walked raw, (code, offset) by frame; formatting a traceback would cost ten
times as much. Messages are redacted and bounded, and only exact ``str`` arguments are
read: no ``__str__`` of the program runs.

An exception that crosses several boundaries (a span, a task, the process) is one
``error.raised`` event. To know it again without keeping it alive, something is kept that
no other exception can have while it is kept: a weak reference where its class allows one
(no built-in class does), else its tuple of arguments if those are plain values, else the
dictionary of its attributes if that is empty.
"""

from __future__ import annotations

import sys
import weakref

from clew.model.kinds import EventKind
from clew.probe import buffer, sites
from clew.probe.patching import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from clew.probe.redact import Redactor

# The C getters: a subclass may define properties of these names.
_ARGS: Any = BaseException.args
_TRACEBACK: Any = BaseException.__traceback__
_DICT: Any = BaseException.__dict__["__dict__"]
_getframe: Any = sys._getframe  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the documented way to the caller
MAX_FRAMES = 32
MAX_CHAIN = 4
MAX_RECENT = 1024
"""Exceptions that are known again."""
_PLAIN = (str, int, float, bool, type(None), bytes)
_MAX_KEPT = 256
"""Longest text in arguments that are kept."""

redactor: Redactor | None = None


class Known:
    """An exception that was recorded.

    Attributes:
        seq: Its first event.
        entity: What failed with it, 0 if that is not known.
        unhandled: The event that says nobody caught it, 0 if none does.
    """

    __slots__ = ("_token", "entity", "seq", "unhandled")

    def __init__(self, seq: int, entity: int, token: object) -> None:
        self.seq = seq
        self.entity = entity
        self.unhandled = 0
        self._token = token

    def is_about(self, error: BaseException) -> bool:
        """Tell whether this is about *error*, given that it is about one at its address."""
        token = self._token
        if type(token) is weakref.ref:
            return token() is error
        return token is _ARGS.__get__(error) or token is _DICT.__get__(error)


_recent: dict[int, Known] = {}


def recall(error: BaseException) -> Known | None:
    """Return what is known of *error* if it was recorded before."""
    known = _recent.get(id(error))
    return known if known is not None and known.is_about(error) else None


def remember(error: BaseException, seq: int, entity: int = 0) -> Known | None:
    """Know *error*, whose first event is *seq*, again."""
    token = _token_of(error)
    if token is None or not seq:
        return None
    if len(_recent) >= MAX_RECENT:
        # Emptied whole: an old one costs no more than a second event if it comes again.
        _recent.clear()
    known = _recent[id(error)] = Known(seq, entity, token)
    return known


def _token_of(error: BaseException) -> object:
    try:
        return weakref.ref(error)
    except TypeError:
        pass
    arguments = _ARGS.__get__(error)
    if arguments and all(type(a) in _PLAIN and (type(a) not in (str, bytes) or len(a) <= _MAX_KEPT) for a in arguments):
        return arguments
    attributes = _DICT.__get__(error)
    return None if attributes else attributes


def forget() -> None:
    """Forget every exception: a forked child numbers its own events."""
    _recent.clear()


def record(kind: EventKind, error: BaseException, *, entity: int = 0, cause: int = 0, **attrs: Any) -> int:
    """Record an exception as an event of the running code.

    Args:
        kind: ERROR_RAISED, ERROR_HANDLED or ERROR_UNHANDLED.
        error: The exception.
        entity: What failed: a task, a thread, the process.
        cause: Sequence number of the event that enabled it.
        attrs: Further attributes.

    Returns:
        The sequence number of the event.
    """
    known = recall(error)
    if known is not None:
        if entity and not known.entity:
            known.entity = entity
        if kind == EventKind.ERROR_RAISED:
            return known.seq
    values = describe(error)
    values.update(attrs)
    site = place_of(error)
    if not site and kind != EventKind.ERROR_UNHANDLED:
        # It has not reached any code of interest yet; what runs here called that which raised it.
        values["stack"] = sites.stack_of(_getframe(1), MAX_FRAMES)
        site = sites.site_here(2)
    seq = buffer.emit_at(int(kind), entity, site, cause=cause or (known.seq if known is not None else cause_of(error)))
    if seq:
        buffer.attach(seq, values)
        known = known or remember(error, seq, entity)
        if known is not None and kind == EventKind.ERROR_UNHANDLED:
            known.unhandled = seq
    return seq


def cause_of(error: BaseException) -> int:
    """Return the event of the exception *error* was raised from, or while handling; 0 if none is known."""
    before = error.__cause__ or error.__context__
    known = recall(before) if before is not None else None
    return known.seq if known is not None else 0


def place_of(error: BaseException) -> int:
    """Return the site *error* came from: the innermost user code, or else the innermost code."""
    user = other = 0
    traceback = _TRACEBACK.__get__(error)
    while traceback is not None:
        code = traceback.tb_frame.f_code
        tier = sites.tier_of(code)
        if tier == sites.USER:
            user = sites.site_of_code(code, traceback.tb_lasti)
        elif tier == sites.LIBRARY:
            other = sites.site_of_code(code, traceback.tb_lasti)
        traceback = traceback.tb_next
    return user or other


def record_last(entity: int) -> None:
    """Record the exception that ended the program, if one did: it was printed by now.

    Args:
        entity: The process.
    """
    try:
        error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        if isinstance(error, BaseException) and _left_main(error):
            record(EventKind.ERROR_UNHANDLED, error, entity=entity)
    except Exception as problem:
        report("errors", f"{type(problem).__name__}: {problem}")


def _left_main(error: BaseException) -> bool:
    """Tell whether *error* left the outermost frame of the program.

    Consoles and test runners put exceptions they caught into ``sys.last_value`` too:
    their tracebacks begin further in. A script that does not compile has no traceback.
    """
    traceback = _TRACEBACK.__get__(error)
    if traceback is None:
        return isinstance(error, SyntaxError) and error.filename in (*sys.argv[:1], "<string>")
    return traceback.tb_frame.f_back is None


def describe(error: BaseException) -> dict[str, Any]:
    """Return what is kept of *error*: JSON values."""
    values = _describe_one(error)
    chain: list[dict[str, Any]] = []
    seen = {id(error)}
    while len(chain) < MAX_CHAIN:
        explicit = error.__cause__
        following = explicit if explicit is not None else (None if error.__suppress_context__ else error.__context__)
        if following is None or id(following) in seen:
            break
        seen.add(id(following))
        chain.append({"relation": "cause" if explicit is not None else "context", **_describe_one(following)})
        error = following
    if chain:
        values["chain"] = chain
    return values


def _describe_one(error: BaseException) -> dict[str, Any]:
    cls = type(error)
    values: dict[str, Any] = {
        "type": cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}",
        "message": message_of(error),
        "stack": stack_of(_TRACEBACK.__get__(error)),
    }
    if isinstance(error, BaseExceptionGroup):
        inner: Any = error.exceptions  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  the program's own object
        values["exceptions"] = [{"type": type(e).__qualname__, "message": message_of(e)} for e in inner[:MAX_CHAIN]]
    return values


def message_of(error: BaseException) -> str:
    """Return the message of *error*, redacted, without running its ``__str__``."""
    arguments: Any = _ARGS.__get__(error)
    if not isinstance(arguments, tuple) or redactor is None:
        return ""
    parts = [redactor.value(argument) for argument in arguments[:4]]  # pyright: ignore[reportUnknownVariableType]  the program's own object
    return ", ".join(part if isinstance(part, str) else str(part) for part in parts)


def stack_of(traceback: TracebackType | None) -> list[int]:
    """Return the sites of *traceback*, innermost first, hidden code left out."""
    stack: list[int] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if sites.tier_of(code) < sites.HIDDEN:
            stack.append(sites.site_of_code(code, traceback.tb_lasti))
        traceback = traceback.tb_next
    return stack[: -MAX_FRAMES - 1 : -1]
