"""What happened in an event, as one sentence: ``Task-2 released Account.lock``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clew.analysis.marks import error_text
from clew.analysis.run_nodes import message_of
from clew.analysis.words import duration, short_type
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, slug_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from clew.analysis.timeline import ProcessTimeline

_ENDED = {
    Outcome.FAILED: " and failed",
    Outcome.CANCELLED: " and was cancelled",
    Outcome.TIMEOUT: " and ran out of time",
}
MAX_TEXT = 200
"""Most characters of what a program says itself."""


def sentence_of(timeline: ProcessTimeline, row: int) -> str:
    """Say what happened in an event.

    Args:
        timeline: Its process.
        row: Where it stands in the columns.
    """
    event = _Event(timeline, row)
    say = _SENTENCES.get(event.kind)
    if say is None:
        what = (slug_of(EventKind, event.kind) or f"event {event.kind}").replace("_", " ")
        return f"{event.who}: {what} {event.what}".rstrip()
    return say(event)


class _Event:
    """An event, and the words for it."""

    def __init__(self, timeline: ProcessTimeline, row: int) -> None:
        self._timeline = timeline
        self.row = row
        self.kind, self.op, self.outcome, self.entity, self.scope, self.span, self.wait_ns, self.arg = (
            int(timeline.columns[name][row])
            for name in ("kind", "op", "outcome", "entity", "scope", "span", "wait_ns", "arg")
        )

    @property
    def who(self) -> str:
        """The task or thread that did it."""
        return self._timeline.name_of(self.scope) if self.scope else self._timeline.label

    @property
    def service(self) -> str:
        """The process it was in."""
        return self._timeline.label

    @property
    def what(self) -> str:
        """What it was done to; a lock by its name alone, what has none by its kind."""
        return name_of_entity(self._timeline, self.entity) if self.entity else ""

    @property
    def attrs(self) -> dict[str, Any]:
        """Its attributes."""
        return self._timeline.attrs_of(self.row)

    @property
    def ended(self) -> str:
        """How it ended, if not well."""
        return _ENDED.get(Outcome(self.outcome), "") if self.outcome in set(Outcome) else ""

    @property
    def waited(self) -> str:
        """How long it was waited, if it was."""
        return f" for {duration(self.wait_ns)}" if self.wait_ns else ""

    @property
    def effect(self) -> str:
        """The effect, by kind and name: ``POST /settle``, ``db select``."""
        definition = self._timeline.data.spans.get(self.span)
        name = definition[9] if definition is not None else ""
        kind = slug_of(Operation, self.op) or "effect"
        return (name or kind) if self.op in (Operation.HTTP, *_STARTING) else f"{kind} {name}".rstrip()

    @property
    def span_name(self) -> str:
        """The name of its span."""
        definition = self._timeline.data.spans.get(self.span)
        return (definition[9] if definition is not None else "") or "a span"

    @property
    def is_request(self) -> bool:
        """Whether its span is a request that is served."""
        definition = self._timeline.data.spans.get(self.span)
        return definition is not None and definition[6] == SpanKind.SERVER

    @property
    def span_took(self) -> str:
        """How long its span lasted, if that is known."""
        spans = self._timeline.spans
        at = int(spans.number.searchsorted(self.span))
        if at >= len(spans.number) or spans.number[at] != self.span or not spans.has_ended[at]:
            return ""
        return f" after {duration(int(spans.end_ns[at] - spans.start_ns[at]))}"

    @property
    def step_ns(self) -> int:
        """How long the step lasted that it is in."""
        step = int(self._timeline.step_of_event[self.row])
        return int(self._timeline.steps.end_ns[step] - self._timeline.steps.start_ns[step]) if step >= 0 else 0


def name_of_entity(timeline: ProcessTimeline, entity: int) -> str:
    """Name an entity in a sentence: by its name, or else by its kind and who made it."""
    row = timeline.data.entities.get(entity)
    if row is None:
        return f"#{entity}"
    if row[1] in (EntityKind.TASK, EntityKind.THREAD):
        return timeline.name_of(entity)
    label = timeline.label_of(entity).removesuffix(f" #{entity}")
    return short_type(row[2]) or f"{'an' if label[0] in 'aeiou' else 'a'} {label}"


_STARTING = (Operation.SUBPROCESS, Operation.FORK, Operation.SPAWN, Operation.EXEC)
_FOR = {
    Operation.GET: "waited for an item from {}",
    Operation.PUT: "waited for room in {}",
    Operation.NOTIFY_WAIT: "waited for {} to be notified",
    Operation.EVENT_WAIT: "waited for {}",
    Operation.BARRIER_WAIT: "waited at {}",
    Operation.JOIN: "waited for the end of {}",
    Operation.GATHER: "waited for all of {}",
    Operation.WAIT_ANY: "waited for one of {}",
    Operation.SUBMIT: "waited for the result of a job",
}


def _wait(event: _Event, ending: str = "") -> str:
    """Say what was waited for, and for how long."""
    if event.op == Operation.SLEEP:
        return f"{event.who} {'slept' if event.wait_ns else 'went to sleep'}{event.waited}{ending}"
    phrase = _FOR.get(Operation(event.op), "waited for {}") if event.op in set(Operation) else "waited for {}"
    return f"{event.who} {phrase.format(event.what or 'something')}{event.waited}{ending}".replace("  ", " ")


def _acquired(event: _Event) -> str:
    if not event.wait_ns:
        return f"{event.who} took {event.what}"
    return f"{event.who} asked for {event.what} and waited {duration(event.wait_ns)}"


def _abandon(event: _Event) -> str:
    ending = {
        Outcome.TIMEOUT: ", and gave up: the time was over",
        Outcome.CANCELLED: ", and was cancelled",
        Outcome.FAILED: ", which failed",
        Outcome.WOULD_BLOCK: ", and did not wait",
    }.get(Outcome(event.outcome), ", and gave up") if event.outcome in set(Outcome) else ", and gave up"  # fmt: skip
    if event.op == Operation.ACQUIRE:
        waited = f" and waited {duration(event.wait_ns)}" if event.wait_ns else ""
        return f"{event.who} asked for {event.what}{waited}{ending}"
    return _wait(event, ending)


def _step(event: _Event) -> str:
    if event.op == Operation.TIMER:
        return "a timer fired"
    if event.op == Operation.IO:
        return f"{event.who} found a socket or file ready"
    ready = f", {duration(event.wait_ns)} after it could have" if event.wait_ns >= 1_000_000 else ""
    return f"{event.who} ran for {duration(event.step_ns)}{ready}"


def _call(event: _Event) -> str:
    if event.op in _STARTING:
        return f"{event.who} started the process {event.what or event.effect}"
    return f"{event.who} {'sent' if event.op == Operation.HTTP else 'called'} {event.effect}"


def _result(event: _Event) -> str:
    if event.op in _STARTING:
        return f"{event.who} saw the process {event.what or event.effect} end{event.ended}"
    status = event.attrs.get("status")
    said = f" ({status})" if isinstance(status, int) else ""
    if event.ended:
        return f"{event.effect} of {event.who} ended{event.span_took}{said}{event.ended}"
    return f"{event.who} got the answer to {event.effect}{event.span_took}{said}"


def _begin(event: _Event) -> str:
    return f"{event.service} served {event.span_name}" if event.is_request else f"{event.who} began {event.span_name}"


def _end(event: _Event) -> str:
    who = event.service if event.is_request else event.who
    done = "answered" if event.is_request else "ended"
    return f"{who} {done} {event.span_name}{event.span_took}{event.ended}"


def _error(event: _Event) -> str:
    text = error_text(event.attrs)[:MAX_TEXT]
    if event.kind == EventKind.ERROR_RAISED:
        return f"{event.who} raised {text}"
    return f"{event.who} {'handled' if event.kind == EventKind.ERROR_HANDLED else 'did not handle'} {text}"


def _log(event: _Event) -> str:
    return f"{event.who} logged: {message_of(event.attrs)[:MAX_TEXT]}"


def _dropped(event: _Event) -> str:
    return f"{event.arg:,} event{'' if event.arg == 1 else 's'} of {event.service} {'was' if event.arg == 1 else 'were'} dropped"


def _queue(event: _Event, verb: str) -> str:
    waited = f" and waited {duration(event.wait_ns)}" if event.wait_ns else ""
    return f"{event.who} {verb} {event.what}{waited}"


def _cancel(event: _Event) -> str:
    return f"{event.what or event.who} was cancelled"


def _state(event: _Event) -> str:
    if event.op == Operation.DELETE or event.attrs.get("state") == "deleted":
        return f"{event.who} deleted {event.what}"
    return f"{event.who} {'read' if event.kind == EventKind.STATE_READ else 'wrote'} {event.what}"


def _resolve(event: _Event) -> str:
    verb = {Outcome.FAILED: "failed", Outcome.CANCELLED: "cancelled"}.get(Outcome(event.outcome), "resolved")
    return f"{event.who} {verb} {event.what or 'a future'}"


def _custom(event: _Event) -> str:
    return f"{event.who}: {str(event.attrs.get('name', 'event'))[:MAX_TEXT]}"


def _doing(phrase: str) -> Callable[[_Event], str]:
    """Return what says *phrase*, in which words in braces are properties of the event."""

    def say(event: _Event) -> str:
        known = {name: getattr(event, name) for name in ("who", "what", "service", "ended") if f"{{{name}}}" in phrase}
        return phrase.format(**known)

    return say


_SENTENCES: dict[int, Callable[[_Event], str]] = {
    EventKind.LIFE_PROCESS_START: _doing("{service} began"),
    EventKind.LIFE_PROCESS_END: _doing("{service} ended"),
    EventKind.LIFE_THREAD_START: _doing("{who} started {what}"),
    EventKind.LIFE_THREAD_END: _doing("{what} ended{ended}"),
    EventKind.LIFE_TASK_START: _doing("{who} started {what}"),
    EventKind.LIFE_TASK_END: _doing("{what} ended{ended}"),
    EventKind.LIFE_TASK_CANCEL: _cancel,
    EventKind.LIFE_RUN_START: _begin,
    EventKind.LIFE_RUN_END: _end,
    EventKind.LIFE_SPAN_START: _begin,
    EventKind.LIFE_SPAN_END: _end,
    EventKind.LIFE_STEP: _step,
    EventKind.LIFE_STEP_END: _step,
    EventKind.SYNC_ACQUIRE: _doing("{who} asked for {what}"),
    EventKind.SYNC_ACQUIRED: _acquired,
    EventKind.SYNC_RELEASE: _doing("{who} released {what}"),
    EventKind.SYNC_WAIT: lambda event: _wait(event),
    EventKind.SYNC_AWAIT: lambda event: _wait(event),
    EventKind.SYNC_JOIN: lambda event: _wait(event),
    EventKind.SYNC_ABANDON: _abandon,
    EventKind.SYNC_PUT: lambda event: _queue(event, "put an item into"),
    EventKind.SYNC_GET: lambda event: _queue(event, "took an item from"),
    EventKind.SYNC_SET: _doing("{who} set {what}"),
    EventKind.SYNC_CLEAR: _doing("{who} cleared {what}"),
    EventKind.SYNC_NOTIFY: _doing("{who} notified {what}"),
    EventKind.SYNC_RESOLVE: _resolve,
    EventKind.MESSAGE_SEND: _doing("{who} sent a message {what}"),
    EventKind.MESSAGE_RECEIVE: _doing("{who} received a message {what}"),
    EventKind.STATE_READ: _state,
    EventKind.STATE_WRITE: _state,
    EventKind.EFFECT_CALL: _call,
    EventKind.EFFECT_RESULT: _result,
    EventKind.ERROR_RAISED: _error,
    EventKind.ERROR_HANDLED: _error,
    EventKind.ERROR_UNHANDLED: _error,
    EventKind.LOG_RECORD: _log,
    EventKind.GAP_DROPPED: _dropped,
    EventKind.CUSTOM_EVENT: _custom,
}
