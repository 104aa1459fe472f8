"""Hooks: replace a method, remember the original, put it back when the hook fails.

A hook replaces a function on its class (or in its module) by one that does the same and
records. The class stays the object it was: instances that exist, subclasses, pickles
and ``isinstance`` see no difference.
"""

from __future__ import annotations

import sys
from types import FunctionType

from clew.probe import sites

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, TracebackType
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

_MISSING: Any = object()
# From 3.14 on annotations are computed when asked for, which may fail.
_ANNOTATIONS = "__annotate__" if sys.version_info >= (3, 14) else "__annotations__"
_getframe: Any = sys._getframe  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the documented way to the caller


class Hooks:
    """The hooks of one group, which are disabled together.

    Args:
        name: What the user knows them by, e.g. ``asyncio.Lock``; a name in the setting
            ``disable``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures = 0
        self._originals: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, attribute: str, make: Callable[[Any], Any]) -> None:
        """Replace ``owner.attribute`` by ``make(original)``.

        An attribute that does not exist (in this version of a library) is left alone.
        An inherited one is replaced on *owner* only.
        """
        own: Any = vars(owner).get(attribute, _MISSING)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  the program's own object
        original = getattr(owner, attribute, _MISSING)
        if original is _MISSING:
            return
        replacement = make(original)
        if isinstance(replacement, FunctionType):
            imitate(replacement, original)
        if isinstance(own, staticmethod):
            replacement = staticmethod(replacement)
        elif isinstance(own, classmethod):
            replacement = classmethod(replacement)
        self._originals.append((owner, attribute, own))  # pyright: ignore[reportUnknownArgumentType]  the program's own object
        setattr(owner, attribute, replacement)

    def add(self, owner: Any, attribute: str, value: Any) -> None:
        """Give *owner* an attribute it does not have of its own."""
        self._originals.append((owner, attribute, _MISSING))
        setattr(owner, attribute, value)

    def remove(self) -> None:
        """Put every original back."""
        while self._originals:
            owner, attribute, original = self._originals.pop()
            if original is _MISSING:
                delattr(owner, attribute)
            else:
                setattr(owner, attribute, original)

    def failed(self, error: BaseException) -> None:
        """Count a failure of a hook; at the first one, disable the group and note it.

        Raises:
            BaseException: *error* itself, if it is not clew's: a signal handler of the
                program ran while the hook did, and raised it.
        """
        if isinstance(error, RecursionError):
            return  # the program is at the end of its stack, and will notice
        own = _of_the_program(error)
        if own is not None:
            error.__traceback__ = own
            raise error
        self.failures += 1
        if self.failures == 1:
            self.remove()
            report(self.name, f"{type(error).__name__}: {error}")


def _of_the_program(error: BaseException) -> TracebackType | None:
    """Return the part of the traceback below a signal handler of the program; None if none ran."""
    traceback = error.__traceback__
    while traceback is not None and sites.tier_of(traceback.tb_frame.f_code) == sites.HIDDEN:
        traceback = traceback.tb_next
    if traceback is None or traceback.tb_frame.f_code not in _handler_codes():
        return None
    return traceback


def _handler_codes() -> list[CodeType]:
    """Return the code of every signal handler written in Python."""
    import signal  # once a hook failed, not before: it costs a millisecond

    codes: list[CodeType] = []
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        handler = getattr(handler, "func", handler)  # a functools.partial
        call = handler if hasattr(handler, "__code__") else type(handler).__dict__.get("__call__")
        code = getattr(call, "__code__", None)
        if code is not None:
            codes.append(code)
    return codes


problems: dict[str, str] = {}
"""What failed, by hook name: noted once each, written at the end of the stream."""


def report(name: str, problem: str) -> None:
    """Note a problem of hook *name*, once."""
    problems.setdefault(name, problem[:200])


def imitate(replacement: FunctionType, original: Any) -> None:
    """Give *replacement* the name, documentation, annotations and attributes of *original*."""
    replacement.__annotations__ = {}
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__", _ANNOTATIONS):
        try:
            setattr(replacement, attribute, getattr(original, attribute))
        except (AttributeError, TypeError):
            continue
    replacement.__dict__.update(getattr(original, "__dict__", {}))
    replacement.__wrapped__ = original  # pyright: ignore[reportFunctionMemberAccess]  for inspect.signature


def hide_frame(error: BaseException) -> None:
    """Take the calling hook's own frame off the traceback of *error*.

    To be called in an ``except`` block of the hook that then re-raises with a bare
    ``raise``: a re-raise adds no frame (CPython 3.11 on), so that tracebacks read as if
    the hook was not there.
    """
    traceback = error.__traceback__
    if traceback is not None and traceback.tb_frame is _getframe(1):
        error.__traceback__ = traceback.tb_next
