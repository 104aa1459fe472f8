"""What happened to one thing, in order: how the tests of threads look at a recording."""

from __future__ import annotations

from conftest import Event

UNTIL_WAITING = """
import sys, threading, time
from clew.probe.seams import _inner_waits

def until_waiting(thread):
    '''Return once the beginning of a wait of that thread is recorded.'''
    while True:
        if any(ident == thread.ident for ident, _ in list(_inner_waits.waiting)):
            return
        frame = sys._current_frames().get(thread.ident)
        while frame is not None:
            if frame.f_globals["__name__"].startswith("clew.") and frame.f_locals.get("began"):
                return
            frame = frame.f_back
        time.sleep(0.001)

def start(name, function, *arguments):
    thread = threading.Thread(target=function, args=arguments, name=name)
    thread.start()
    return thread
"""
"""For the head of a recorded program: start a named thread, wait until it waits."""


def is_named(event: Event, name: str) -> bool:
    """Tell whether the event is about the entity of that name, of a variable of the program."""
    return event.entity is not None and event.entity.name.removeprefix("__main__.") == name


def story(events: list[Event], entity: str) -> list[str]:
    """Who did what to the entity of that name: ``scope kind op outcome``."""
    return [
        " ".join(part for part in (e.scope.name if e.scope else "?", e.kind, e.op, e.outcome) if part)
        for e in events
        if is_named(e, entity)
    ]


def of_kind(events: list[Event], kind: str, entity: str, scope: str = "") -> list[Event]:
    """Events of that kind, of the entity of that name, of a scope if given."""
    return [
        e
        for e in events
        if e.kind == kind and is_named(e, entity) and (not scope or (e.scope is not None and e.scope.name == scope))
    ]


def cause_of(events: list[Event], event: Event) -> Event:
    """The event of the same process that enabled *event*."""
    (cause,) = [e for e in events if e.process == event.process and e.seq == event.cause]
    return cause
