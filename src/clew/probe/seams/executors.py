"""concurrent.futures: who submitted which job, where it ran, who waited for its future.

A future waits on a condition of its own. What resolves a future notifies that condition
while it holds the lock, so that is where ``sync.resolve`` is recorded, whoever resolves it
and however. A job is recorded around ``_WorkItem.run``: in the worker's thread, with the
submitter's span current.

``wait`` and ``as_completed`` wait on an event of their own, which is recorded as a group
(``_inner_waits``). Jobs of processes: ``process_pools``.

Can miss: ``Future.done()`` that found it done, which may order what follows.
"""

from __future__ import annotations

import sys
import weakref
from _thread import get_ident
from time import monotonic_ns

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import buffer, definitions, errors, journal, sites
from clew.probe.buffer import emit, emit_at
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._inner_waits import Primitive, adopt, end_wait, waiting
from clew.probe.seams._steps import Step, function_of, name_of, site_of_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any

    from clew.probe.session import Session

SUBMIT = EventKind.SYNC_PUT | Operation.SUBMIT << 8
RESOLVE = int(EventKind.SYNC_RESOLVE)
AWAIT_WAIT = EventKind.SYNC_WAIT | Operation.AWAIT << 8
AWAIT = EventKind.SYNC_AWAIT | Operation.AWAIT << 8
AWAIT_ABANDON = EventKind.SYNC_ABANDON | Operation.AWAIT << 8
JOIN_WAIT = EventKind.SYNC_WAIT | Operation.JOIN << 8
JOINED = EventKind.SYNC_JOIN | Operation.JOIN << 8
JOIN_ABANDON = EventKind.SYNC_ABANDON | Operation.JOIN << 8
OK, FAILED, CANCELLED = Outcome.OK << 16, Outcome.FAILED << 16, Outcome.CANCELLED << 16
TIMED_OUT, WOULD_BLOCK = Outcome.TIMEOUT << 16, Outcome.WOULD_BLOCK << 16

MAX_DONE = 1000
"""Futures of one ``wait()`` that are recorded as awaited."""
QUIET_CALLER = "asyncio.futures"
"""asyncio copies the state of a future that has called back: the call is the wake."""

hooks = Hooks("concurrent.futures")
answers: dict[int, tuple[int, int]] = {}
"""By thread, the event of another process that enables what this thread is about to resolve."""
_getframe: Any = sys._getframe


class Job(Primitive):
    """What is remembered of a future.

    Attributes:
        future: Weak reference to it.
        submit: The event that submitted it, 0 if it is no job.
        submitted: When.
        span: The span it was submitted in.
        runner: The thread that runs it now.
        site: First line of its function.
        name: Name of its function.
    """

    __slots__ = ("future", "name", "runner", "site", "span", "submit", "submitted")

    def __init__(self, future: Any) -> None:
        super().__init__(-1)
        self.future = weakref.ref(future)
        self.submit = self.submitted = self.runner = self.site = 0
        self.span = buffer.MAIN_SPAN
        self.name = ""


def install(module: ModuleType, session: Session) -> None:
    """Hook *module*, one of those concurrent.futures is made of."""
    if hooks.name in session.config.disable:
        return
    if module.__name__ == "concurrent.futures._base":
        hooks.replace(module.Future, "__init__", _make_future)
        hooks.replace(module.Future, "result", _make_result)
        hooks.replace(module.Future, "exception", _make_result)
        package: Any = sys.modules.get("concurrent.futures")
        exported = vars(package).get("wait") is module.wait
        hooks.replace(module, "wait", _make_wait)
        if exported:
            hooks.replace(package, "wait", lambda original: module.wait)
    else:
        hooks.replace(module._WorkItem, "__init__", make_work_item)
        hooks.replace(module._WorkItem, "run", _make_run)
        hooks.replace(module.ThreadPoolExecutor, "shutdown", make_shutdown)


# -- futures


def _make_future(original: Any) -> Any:
    def __init__(self: Any) -> None:
        original(self)
        try:
            adopt(self._condition, Job(self), AWAIT_WAIT, _note_resolved)
        except Exception as error:
            hooks.failed(error)

    return __init__


def job_of(future: Any) -> Job:
    """Return what is remembered of *future*, defining it if that was not done."""
    try:
        job = future._condition.clew.primitive
        if job.epoch == definitions.epoch and job.number >= 0:
            return job
    except AttributeError:
        pass
    frame = sites.user_frame(3)
    name = definitions.variable_name(future, frame) if frame is not None else ""
    return _define(future, name, 0, sites.site_of(frame) if frame is not None else 0)


def _define(future: Any, name: str, parent: int, site: int) -> Job:
    job = Job(future)
    job.number = definitions.register(future, EntityKind.FUTURE, name, parent=parent, site=site)
    adopt(future._condition, job, AWAIT_WAIT, _note_resolved)
    return job


def _note_resolved(job: Job) -> None:
    """Record that a future is resolved: to be called while its condition is held."""
    future = job.future()
    if future is None:
        return
    if job.number < 0 or job.epoch != definitions.epoch:
        job = _define(future, "", 0, sites.site_here(4))
    error = future._exception
    cause = 0
    if error is not None and job.runner == get_ident():
        cause = errors.record(EventKind.ERROR_RAISED, error, entity=job.number)
    job.last = emit(RESOLVE | _outcome_of(future), job.number, 0, 0, cause)
    answer = answers.pop(get_ident(), None) if answers else None
    if answer is not None and job.last:
        journal.write_remote_cause(job.last, *answer)


def _outcome_of(future: Any) -> int:
    """Return how *future* ended, 0 if it has not."""
    state = future._state
    if state == "FINISHED":
        return FAILED if future._exception is not None else OK
    return 0 if state == "PENDING" or state == "RUNNING" else CANCELLED


def _make_result(original: Any) -> Any:
    """Return ``result`` or ``exception``."""

    def result(self: Any, timeout: Any = None) -> Any:
        job = None
        try:
            job = job_of(self)
        except Exception as error:
            hooks.failed(error)
        try:
            value = original(self, timeout)
        except BaseException as error:
            hide_frame(error)
            _end_await(self, job)
            raise
        _end_await(self, job)
        return value

    return result


def _end_await(future: Any, job: Job | None) -> None:
    """Record how a wait for *future* ended: by what has become of it."""
    try:
        if job is None or not job.number:
            return
        waited = end_wait(job.number) if waiting else 0
        outcome = _outcome_of(future)
        if not outcome:
            emit(AWAIT_ABANDON | (TIMED_OUT if waited else WOULD_BLOCK), job.number, waited)
        elif waited or _getframe(2).f_globals.get("__name__") != QUIET_CALLER:
            emit_at(AWAIT | outcome, job.number, sites.site_here(3), waited, 0, job.last)
    except Exception as error:
        hooks.failed(error)


def _make_wait(original: Any) -> Any:
    def wait(fs: Any, timeout: Any = None, return_when: Any = "ALL_COMPLETED") -> Any:
        try:
            result = original(fs, timeout, return_when)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            for future in list(result.done)[:MAX_DONE]:
                job = job_of(future)
                if job.number:
                    emit(AWAIT | _outcome_of(future), job.number, 0, 0, job.last)
        except Exception as error:
            hooks.failed(error)
        return result

    return wait


# -- jobs


def make_work_item(original: Any) -> Any:
    """Return ``_WorkItem.__init__``, which ``submit`` calls once a job is accepted."""

    def __init__(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        try:
            _submit(self, _getframe(1))
        except Exception as error:
            hooks.failed(error)

    return __init__


def _submit(item: Any, frame: FrameType) -> None:
    """Record that *item* was submitted by the executor whose code is in *frame*."""
    future = item.future
    target = getattr(item, "fn", None)
    executor = definitions.locals_of(frame).get("self")
    parent = _number_of_executor(executor) if executor is not None else 0
    site = sites.site_here(4)
    name = name_of(target)
    job = _define(future, name, parent, site)
    job.name = name
    job.site = site_of_function(function_of(target))
    job.span = buffer.SPAN.get()
    if job.number:
        job.submitted = monotonic_ns()
        job.submit = emit_at(SUBMIT, job.number, site)


def _number_of_executor(executor: Any) -> int:
    number = definitions.number_at(id(executor))
    if number is None:
        frame = sites.user_frame(3)
        name = definitions.variable_name(executor, frame) if frame is not None else ""
        workers = executor._max_workers
        number = definitions.register(
            executor,
            EntityKind.EXECUTOR,
            name or getattr(executor, "_thread_name_prefix", ""),
            site=sites.site_of(frame) if frame is not None else 0,
            detail=f'{{"workers":{workers}}}' if type(workers) is int else "",
        )
    return number


def _make_run(original: Any) -> Any:
    def run(self: Any, *arguments: Any) -> None:
        job = step = token = None
        try:
            job = self.future._condition.clew.primitive
            if job.number > 0 and job.epoch == definitions.epoch and self.future._state == "PENDING":
                if job.span != buffer.SPAN.get():
                    token = buffer.SPAN.set(job.span)
                job.runner = get_ident()
                step = Step(job.number, job.site, monotonic_ns() - job.submitted, job.submit)
        except Exception as error:
            hooks.failed(error)
        try:
            original(self, *arguments)
        except BaseException as error:
            hide_frame(error)
            _leave_job(job, step, token)
            raise
        _leave_job(job, step, token)

    return run


def _leave_job(job: Job | None, step: Step | None, token: Any) -> None:
    try:
        if step is not None:
            step.end()
        if job is not None:
            job.runner = 0
        if token is not None:
            buffer.SPAN.reset(token)
    except Exception as error:
        hooks.failed(error)


def make_shutdown(original: Any) -> Any:
    """Return ``shutdown`` of an executor: whoever waits for it joins what it runs."""

    def shutdown(self: Any, *arguments: Any, **keywords: Any) -> None:
        number = began = 0
        try:
            if arguments[0] if arguments else keywords.get("wait", True):
                number = _number_of_executor(self)
            if number and (getattr(self, "_threads", None) or getattr(self, "_processes", None)):
                emit(JOIN_WAIT, number)
                began = monotonic_ns()
        except Exception as error:
            hooks.failed(error)
        try:
            original(self, *arguments, **keywords)
        except BaseException as error:
            hide_frame(error)
            _end_shutdown(number, JOIN_ABANDON | FAILED, began)
            raise
        _end_shutdown(number, JOINED, began)

    return shutdown


def _end_shutdown(number: int, what: int, began: int) -> None:
    try:
        if number:
            emit(what, number, monotonic_ns() - began if began else 0)
    except Exception as error:
        hooks.failed(error)
