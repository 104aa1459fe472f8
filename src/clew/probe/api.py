"""What a program may call: nothing here costs 100 ns while nothing is recorded.

Heavy modules are imported by ``install``, not here: ``import clew`` stays cheap.
"""

from __future__ import annotations

from contextlib import suppress
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType
    from typing import Any, TypeVar, overload

    F = TypeVar("F", bound=Callable[..., Any])

_live: ModuleType | None = None
"""``clew.probe.live`` while this process records, else None."""
_SPAN, _RUN = 0, 1
_spans: dict[str, _Mark] = {}
_runs: dict[str, _Mark] = {}
_MAX_MARKS = 4096


class _Mark:
    """A named span or run: a context manager, and a decorator.

    One object serves every use of a name, at the same time in any number of tasks: what
    is open is found by the running context, not here.
    """

    __slots__ = ("_role", "name")

    def __init__(self, role: int, name: str) -> None:
        self._role = role
        self.name = name

    def __enter__(self) -> None:
        if _live is not None:
            _live.enter(self._role, self.name)

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if _live is not None:
            _live.leave(self._role, self.name, error)

    def __call__(self, function: F) -> F:
        return _decorate(function, self._begin, self._end)

    def _begin(self, live: Any, arguments: Any, keywords: Any) -> None:
        live.enter(self._role, self.name)

    def _end(self, live: Any, opened: Any, result: Any, error: BaseException | None) -> None:
        live.leave(self._role, self.name, error)


if TYPE_CHECKING:

    @overload
    def run(name: F) -> F: ...
    @overload
    def run(name: str) -> _Mark: ...
    @overload
    def span(name: F) -> F: ...
    @overload
    def span(name: str) -> _Mark: ...


def run(name: Any) -> Any:
    """Name a run: ``with clew.run("nightly"):``, ``@clew.run("nightly")`` or ``@clew.run``.

    Args:
        name: What people call it; a function used as a bare decorator gives its own name.
    """
    return _runs.get(name) or _new_mark(_RUN, name)


def span(name: Any) -> Any:
    """Name a step of a run: ``with clew.span("load"):``, ``@clew.span("load")`` or ``@clew.span``.

    Args:
        name: What people call it; a function used as a bare decorator gives its own name.
    """
    return _spans.get(name) or _new_mark(_SPAN, name)


def _new_mark(role: int, name: Any) -> Any:
    if callable(name) and not isinstance(name, str):
        return _Mark(role, getattr(name, "__qualname__", "run"))(name)
    if not isinstance(name, str):
        msg = f"a run or span is named by a string, not by {type(name).__name__}"
        raise TypeError(msg)
    mark = _Mark(role, name)
    marks = _runs if role == _RUN else _spans
    if len(marks) < _MAX_MARKS:
        marks[name] = mark
    return mark


def effect(kind: str, *, name: str = "") -> Callable[[F], F]:
    """Mark a function as a call that crosses the boundary of the process.

    Args:
        kind: ``model``, ``retriever``, ``tool``, ``planner``, ``validator``, ``safety``,
            ``prompt``, ``http``, ``db``, ``file``, ``subprocess``, ``clock``, ``random``
            or ``env``.
        name: What people call it; by default the function's name.

    Raises:
        ValueError: *kind* is none of these.
    """
    if kind not in EFFECTS:
        msg = f"effect kind {kind!r} is not known; known: {', '.join(EFFECTS)}"
        raise ValueError(msg)

    def decorate(function: F) -> F:
        label = name or getattr(function, "__qualname__", "effect")

        def begin(live: Any, arguments: Any, keywords: Any) -> Any:
            return live.call_effect(kind, label, arguments, keywords)

        def end(live: Any, opened: Any, result: Any, error: BaseException | None) -> None:
            live.end_effect(opened, result, error)

        return _decorate(function, begin, end)

    return decorate


EFFECTS = (
    "http", "db", "file", "subprocess", "clock", "random", "env", "model", "retriever", "tool", "planner", "validator", "safety", "prompt",
)  # fmt: skip


def _decorate(function: Any, begin: Callable[..., Any], end: Callable[..., None]) -> Any:
    """Wrap *function*, sync or async, to call *begin* and *end* around it while recording."""
    is_async = isinstance(function, FunctionType) and function.__code__.co_flags & _COROUTINE
    wrapper: Any = (_wrap_async if is_async else _wrap)(function, begin, end)
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        with suppress(AttributeError):
            setattr(wrapper, attribute, getattr(function, attribute))
    wrapper.__dict__.update(getattr(function, "__dict__", {}))
    wrapper.__wrapped__ = function
    return wrapper


def _wrap(function: Any, begin: Callable[..., Any], end: Callable[..., None]) -> Any:
    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        live: Any = _live
        if live is None:
            return function(*arguments, **keywords)
        opened = begin(live, arguments, keywords)
        try:
            result = function(*arguments, **keywords)
        except BaseException as error:
            live.hide_frame(error)
            end(live, opened, None, error)
            raise
        end(live, opened, result, None)
        return result

    return wrapper


def _wrap_async(function: Any, begin: Callable[..., Any], end: Callable[..., None]) -> Any:
    async def wrapper(*arguments: Any, **keywords: Any) -> Any:
        live: Any = _live
        if live is None:
            return await function(*arguments, **keywords)
        opened = begin(live, arguments, keywords)
        try:
            result = await function(*arguments, **keywords)
        except BaseException as error:
            live.hide_frame(error)
            end(live, opened, None, error)
            raise
        end(live, opened, result, None)
        return result

    return wrapper


_COROUTINE = 0x80  # CO_COROUTINE


def resource(name: str, key: object, operation: str, version: object = None) -> None:
    """Record that a thing outside the process was read or written.

    Args:
        name: Which kind of thing, e.g. ``db:accounts``.
        key: Which one of them.
        operation: ``read`` or ``write``.
        version: Its version, if it has one: lets an analysis prove a lost update.

    Raises:
        ValueError: *operation* is neither.
    """
    if operation not in ("read", "write"):
        msg = f"a resource is read or written, not {operation!r}"
        raise ValueError(msg)
    if _live is not None:
        _live.touch_resource(name, key, operation, version)


def event(kind: str, **attrs: object) -> None:
    """Record an event of the program's own.

    Args:
        kind: ``custom``.
        attrs: What to record with it, redacted and bounded; ``name`` is what people see.
    """
    if _live is not None:
        _live.custom_event(kind, attrs)


def install(*, service: str | None = None, output: str | None = None, **settings: Any) -> str:
    """Record this process from here on.

    Args:
        service: Name of the service.
        output: Recording folder; by default a new one below ``.clew``.
        settings: Further settings, by the names of docs/reference/settings.md.

    Returns:
        The recording folder.

    Raises:
        clew.model.errors.ClewError: A setting has no meaning, or this process records already.
    """
    from clew.probe import live

    return live.install(service=service, output=output, **settings)


def is_recording() -> bool:
    """Tell whether this process is being recorded."""
    return _live is not None


def set_live(module: ModuleType | None) -> None:
    """Connect or disconnect the recorder (for clew itself)."""
    global _live
    _live = module
