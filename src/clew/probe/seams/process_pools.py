"""ProcessPoolExecutor: a job from its submit, through another process, to its future.

The item that carries a job to a worker process takes with it which event submitted it, and
in which span; the item that carries the result back, which event ended it. Both are plain
objects that are pickled with whatever attributes they have, and a worker that is not
recorded does not notice one more.

In the worker a job is a step, and a span of the submitter's trace: from the moment its
item is unpickled, which is right before it runs, until its result is sent back.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from time import monotonic_ns

from clew.model.kinds import EventKind, Outcome, SpanKind
from clew.probe import buffer, context, definitions, errors, journal
from clew.probe.patching import hide_frame
from clew.probe.seams._steps import Step, function_of, site_of_function
from clew.probe.seams.executors import answers, hooks, make_shutdown, make_work_item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from types import ModuleType
    from typing import Any

    from clew.probe.context import Span
    from clew.probe.session import Session

_getframe: Any = sys._getframe
_installer: Any = None
_running: _Running | None = None
"""The job this worker process runs: one at a time."""


def install(module: ModuleType, session: Session) -> None:
    """Hook *module*, which is concurrent.futures.process."""
    global _installer
    if hooks.name in session.config.disable:
        return
    from clew.probe import install as installer  # it imports the seams

    _installer = installer
    hooks.replace(module._WorkItem, "__init__", make_work_item)
    hooks.replace(module.ProcessPoolExecutor, "shutdown", make_shutdown)
    hooks.replace(module._CallItem, "__init__", _make_call_item)
    hooks.add(module._CallItem, "__setstate__", _receive_call)
    hooks.replace(module._ExceptionWithTraceback, "__init__", _make_exception)
    hooks.replace(module, "_sendback_result", _make_sendback)
    hooks.replace(module._ResultItem, "__init__", _make_result_item)
    hooks.replace(module._ExecutorManagerThread, "process_result_item", _make_process_result)


# -- the submitter's process


def _make_call_item(original: Any) -> Any:
    def __init__(self: Any, *arguments: Any, **keywords: Any) -> None:
        original(self, *arguments, **keywords)
        try:
            item = definitions.locals_of(_getframe(1)).get("work_item")
            job = item.future._condition.clew.primitive
            if job.submit:
                ids = context.ids_of(job.span)
                self.clew = (_installer.session.process_id, job.submit, job.submitted, *ids, job.name)
        except Exception as error:
            hooks.failed(error)

    return __init__


def _make_process_result(original: Any) -> Any:
    def process_result_item(self: Any, result_item: Any) -> None:
        try:
            answer = getattr(result_item, "clew", None)
            if type(answer) is tuple and len(answer) == 2:
                answers[get_ident()] = answer
        except Exception as error:
            hooks.failed(error)
        try:
            original(self, result_item)
        except BaseException as error:
            hide_frame(error)
            raise
        finally:
            answers.pop(get_ident(), None)

    return process_result_item


# -- the worker's process


class _Running:
    """A job while it runs.

    Attributes:
        step: Its step.
        span: Its span, if its run is recorded.
        token: What ends not recording it, if its run is not.
        error: The event of the exception that ended it.
        last: The last event of it.
    """

    __slots__ = ("error", "last", "span", "step", "token")

    def __init__(self, origin: tuple[Any, ...], function: Any) -> None:
        process_id, submit, submitted, trace, span_id, name = origin
        self.span: Span | None = None
        self.token: Token[int] | None = None
        self.error = self.last = 0
        if trace:
            self.span = context.start_span(name or "job", kind=SpanKind.CONSUMER, remote=(trace, span_id))
        else:
            self.token = buffer.SPAN.set(0)
        waited = monotonic_ns() - submitted
        self.step = Step(0, site_of_function(function), max(waited, 0), 0)
        if self.step.seq:
            journal.write_remote_cause(self.step.seq, process_id, submit)

    def end(self) -> None:
        """Record the end of the job."""
        self.step.end()
        if self.span is not None:
            self.span.end(Outcome.FAILED if self.error else Outcome.OK)
        if self.token is not None:
            buffer.SPAN.reset(self.token)
        self.last = buffer.thread_state().cursor


def _receive_call(self: Any, state: dict[str, Any]) -> None:
    """Begin the job that was received."""
    global _running
    origin = state.pop("clew", None)
    self.__dict__.update(state)
    try:
        if type(origin) is tuple and len(origin) == 6:
            _running = _Running(origin, function_of(state.get("fn")))
    except Exception as error:
        hooks.failed(error)


def _make_exception(original: Any) -> Any:
    """Return ``_ExceptionWithTraceback.__init__``: what a job raised, still with its stack."""

    def __init__(self: Any, exc: Any, tb: Any) -> None:
        try:
            if _running is not None and not _running.error:
                _running.error = errors.record(EventKind.ERROR_RAISED, exc)
        except Exception as error:
            hooks.failed(error)
        original(self, exc, tb)

    return __init__


def _make_sendback(original: Any) -> Any:
    def _sendback_result(*arguments: Any, **keywords: Any) -> None:
        try:
            if _running is not None:
                _running.end()
        except Exception as error:
            hooks.failed(error)
        try:
            original(*arguments, **keywords)
        except BaseException as error:
            hide_frame(error)
            raise
        finally:
            _forget()

    return _sendback_result


def _forget() -> None:
    global _running
    _running = None


def _make_result_item(original: Any) -> Any:
    def __init__(self: Any, *arguments: Any, **keywords: Any) -> None:
        original(self, *arguments, **keywords)
        try:
            if _running is not None and _running.last:
                self.clew = (_installer.session.process_id, _running.last)
        except Exception as error:
            hooks.failed(error)

    return __init__
