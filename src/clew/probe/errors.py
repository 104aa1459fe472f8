"""Exceptions as attributes of events: type, message, stack, chain of causes.

The stack is walked raw, (code, offset) by frame; formatting a traceback would cost ten
times as much. Messages are redacted and bounded, and only exact ``str`` arguments are
read: no ``__str__`` of the program runs.
"""

from __future__ import annotations

from clew.probe import buffer, sites

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from clew.model.kinds import EventKind
    from clew.probe.redact import Redactor

_ARGS: Any = BaseException.args  # the C getter: a subclass may define a property of that name
MAX_FRAMES = 32
MAX_CHAIN = 4

redactor: Redactor | None = None


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
    values = describe(error)
    values.update(attrs)
    frames = values["stack"]
    site = frames[0] if frames else 0
    seq = buffer.emit_at(int(kind), entity, site, cause=cause)
    if seq:
        buffer.attach(seq, values)
    return seq


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
        "stack": stack_of(error.__traceback__),
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
        if sites.tier_of(code) != sites.HIDDEN:
            stack.append(sites.site_of_code(code, traceback.tb_lasti))
        traceback = traceback.tb_next
    return stack[: -MAX_FRAMES - 1 : -1]
