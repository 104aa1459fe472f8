"""The public calls while this process records: what ``api`` hands over to."""

from __future__ import annotations

import os
import sys

from clew.model.errors import UsageError
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanRole
from clew.probe import api, buffer, config, definitions, errors
from clew.probe.context import Span, start_span
from clew.probe.patching import hide_frame, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from clew.probe.redact import Redactor

_open: dict[int, tuple[int, str, Span]] = {}
"""Spans opened by name, by number: role, name, span."""
_resources: dict[str, int] = {}
_MAX_RESOURCES = 10_000

__all__ = ["hide_frame"]


def install(*, service: str | None, output: str | None, **settings: Any) -> str:
    """Begin to record this process; see ``clew.install``."""
    from clew.probe.startup import new_folder

    unknown = [name for name in settings if name not in config.BY_NAME]
    if unknown:
        raise UsageError(
            "unknown-setting",
            f"clew.install() got {unknown[0]!r}",
            f"known: {', '.join(config.BY_NAME)}",
            "correct or remove it",
        )
    loaded = config.load({"service": service, "output": output, **settings}, project=os.getcwd())
    if (
        loaded.output
        and os.path.isdir(loaded.output)
        and any(name.endswith(".stream") for name in os.listdir(loaded.output))
    ):
        raise UsageError(
            "output-exists",
            f"{loaded.output} holds a recording",
            "expected a new or empty folder",
            "choose another, or remove it",
        )
    from clew.probe.session import default_service

    folder = loaded.output or new_folder(loaded.service or default_service())
    os.makedirs(folder, mode=0o700, exist_ok=True)
    from clew.probe import install as installer

    return installer.start(loaded, folder, supervised=False).folder


def enter(role: int, name: str) -> None:
    """Open a named span or run."""
    try:
        span = start_span(name, role=SpanRole(role))
        if span.number:
            _open[span.number] = (role, name, span)
    except Exception as error:
        report("api.span", f"{type(error).__name__}: {error}")


def leave(role: int, name: str, error: BaseException | None) -> None:
    """End the span that ``enter`` opened under this name in the running context."""
    try:
        number = buffer.SPAN.get()
        opened = _open.get(number)
        if opened is None or opened[:2] != (role, name):
            return
        del _open[number]
        opened[2].end(outcome_of(error), error=error)
    except Exception as problem:
        report("api.span", f"{type(problem).__name__}: {problem}")


def outcome_of(error: BaseException | None) -> Outcome:
    """Return the outcome that an exception stands for."""
    if error is None:
        return Outcome.OK
    return Outcome.CANCELLED if type(error).__name__ == "CancelledError" else Outcome.FAILED


def call_effect(kind: str, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Span | None:
    """Open the span of an effect and record its arguments."""
    try:
        redact = _redactor()
        attrs = {"arguments": redact.value(list(arguments)), "keywords": redact.value(keywords)}
        return start_span(name, effect=Operation[kind.upper()], attrs=attrs)
    except Exception as error:
        report("api.effect", f"{type(error).__name__}: {error}")
        return None


def end_effect(span: Span | None, result: object, error: BaseException | None) -> None:
    """End the span of an effect and record its result."""
    if span is None:
        return
    try:
        attrs = {"result": _redactor().value(result)} if error is None else None
        span.end(outcome_of(error), attrs, error)
    except Exception as problem:
        report("api.effect", f"{type(problem).__name__}: {problem}")


def touch_resource(name: str, key: object, operation: str, version: object) -> None:
    """Record a read or write of a thing outside the process."""
    try:
        redact = _redactor()
        label = f"{name}[{redact.value(key)}]"
        number = _resources.get(label)
        if number is None:
            number = definitions.define_entity(EntityKind.VARIABLE, label, type_name="resource")
            if len(_resources) < _MAX_RESOURCES:
                _resources[label] = number
        kind = EventKind.STATE_WRITE if operation == "write" else EventKind.STATE_READ
        what = kind | Operation.RESOURCE << 8
        if version is None:
            buffer.emit(what, number)
        else:
            buffer.emit_with(what, number, {"version": redact.value(version)})
    except Exception as error:
        report("api.resource", f"{type(error).__name__}: {error}")


def custom_event(kind: str, attrs: dict[str, Any]) -> None:
    """Record an event of the program's own."""
    try:
        values = _redactor().mapping(attrs)
        if kind != "custom":
            values["kind"] = kind
        buffer.emit_with(int(EventKind.CUSTOM_EVENT), 0, values)
    except Exception as error:
        report("api.event", f"{type(error).__name__}: {error}")


def _redactor() -> Redactor:
    return errors.redactor  # pyright: ignore[reportReturnType]  set before anything is live


def begin() -> None:
    """Connect the public calls to this recording."""
    _open.clear()
    _resources.clear()
    api.set_live(sys.modules[__name__])


def end() -> None:
    """Disconnect the public calls: this process does not record."""
    api.set_live(None)
