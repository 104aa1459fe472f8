"""``logging``: the records that pass a logger's level and filters, from ``log_level`` on.

``Logger.callHandlers`` is reached by exactly those, whatever handlers there are; the
frames ``findCaller`` counts lie before it.
"""

from __future__ import annotations

import re

from clew.model.kinds import EventKind
from clew.probe import buffer, errors
from clew.probe.patching import Hooks, hide_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.redact import Redactor
    from clew.probe.session import Session

hooks = Hooks("logging")
LOG = int(EventKind.LOG_RECORD)
_fields = object.__getattribute__  # records may be of a class of the program's, with properties
_PLAIN = (str, int, float, bool, type(None))
_MAX_PLAIN = 4096
"""Longest text that is put into a template."""
_WIDE = re.compile(r"%[^a-zA-Z%]*(?:\*|\d{4})")
"""A field as wide as an argument says, or a thousand characters and more."""


def install(module: ModuleType, session: Session) -> None:
    """Hook the loggers of *module*, which is logging."""
    if session.config.log_level == "OFF":
        return
    least = getattr(module, session.config.log_level)
    hooks.replace(module.Logger, "callHandlers", _make_call_handlers(least, session.redactor))


def _make_call_handlers(least: int, redactor: Redactor) -> Any:
    def make(original: Any) -> Any:
        def callHandlers(self: Any, record: Any) -> None:
            try:
                fields = _fields(record, "__dict__")
                level = fields.get("levelno")
                if type(level) is int and level >= least:
                    _record(fields, level, redactor)
            except Exception as error:
                hooks.failed(error)
            try:
                original(self, record)
            except BaseException as error:
                hide_frame(error)
                raise

        return callHandlers

    return make


def _record(fields: dict[str, Any], level: int, redactor: Redactor) -> None:
    values: dict[str, Any] = {"logger": _text(fields.get("name"), redactor)}
    message, arguments = _message(fields.get("msg"), fields.get("args"), redactor)
    values["message"] = message
    if arguments is not None:
        values["arguments"] = arguments
    information = fields.get("exc_info")
    cause = 0
    if type(information) is tuple and len(information) == 3 and isinstance(information[1], BaseException):
        cause = _handled(information[1])
    buffer.emit_with(LOG, 0, values, arg=level, cause=cause)


def _handled(error: BaseException) -> int:
    """Record that *error* was caught and logged; return the event to name as the cause.

    asyncio logs what nobody caught: that one is told of already.
    """
    known = errors.recall(error)
    if known is not None and known.unhandled:
        return known.unhandled
    return errors.record(EventKind.ERROR_HANDLED, error)


def _message(template: Any, arguments: Any, redactor: Redactor) -> tuple[str, Any]:
    """Return the message, and the arguments if they are not put into it.

    They are put in where that runs no code of the program: a template that is a string,
    and plain values.
    """
    if type(template) is not str:
        return str(redactor.value(template)), None
    if not arguments:
        return redactor.text(template), None
    plain = arguments.values() if type(arguments) is dict else arguments if type(arguments) is tuple else [arguments]
    if (
        len(template) <= _MAX_PLAIN
        and all(type(value) in _PLAIN and (type(value) is not str or len(value) <= _MAX_PLAIN) for value in plain)
        and not _WIDE.search(template)
    ):
        try:
            return redactor.text(template % arguments), None
        except (TypeError, ValueError, KeyError, OverflowError):
            pass  # logging itself says so, when it comes to that
    return redactor.text(template), redactor.value(arguments)


def _text(value: Any, redactor: Redactor) -> str:
    return redactor.text(value) if type(value) is str else str(redactor.value(value))
