"""A fault of ours in a note changes nothing for the program, and is told once."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.watch_programs import PROGRAMS
from tests.unit.test_watch_transform import outcome, plain, with_notes

from clew.probe.patching import problems
from clew.probe.watch.events import switch

FAULTS = [
    "attributes.owner_of",
    "attributes.encode",
    "attributes.record",
    "attributes.look",
    "events.summaries",
    "items._held",
    "items._find",
    "items._summary",
    "items.record",
    "items.is_safe",
    "owners.define",
    "places.Held",
    "variables.globals_of",
    "variables.record",
    "variables.hold",
]
SOME = ["attributes", "evaluation order", "once only", "mangling", "own access methods", "globals", "dict operations"]


@pytest.fixture(autouse=True)
def _switch() -> Iterator[None]:
    """The notes are on again for the next test."""
    before = dict(problems)
    yield
    switch.is_off = False
    problems.clear()
    problems.update(before)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_note_is_not_seen_by_the_program(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Output, exceptions and lines are the same while something in the notes raises."""
    module, _, name = fault.partition(".")
    names = [name for name in SOME if name in PROGRAMS]
    codes = {name: with_notes(PROGRAMS[name]) for name in names}
    monkeypatch.setattr(importlib.import_module(f"clew.probe.watch.{module}"), name, None)

    for each in names:
        switch.is_off = False
        assert outcome(codes[each]) == outcome(plain(PROGRAMS[each])), each


def test_a_fault_switches_notes_off_and_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first fault nothing is tried again."""
    monkeypatch.setattr("clew.probe.watch.attributes.owner_of", None)

    outcome(with_notes(PROGRAMS["attributes"]))

    assert switch.is_off
    assert problems["watch"] == "TypeError: 'NoneType' object is not callable"


def test_an_exception_of_a_signal_handler_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a handler of the program raises inside a note reaches the program, without our frames."""

    def handler(*_: Any) -> Any:
        raise TimeoutError("theirs")

    monkeypatch.setattr("clew.probe.watch.attributes.owner_of", handler)

    error = outcome(with_notes("class C: pass\nc = C()\nc.x\n"))["error"]

    assert error[:2] == (TimeoutError, "theirs")
    assert error[2][0][1] == "<module>"
    assert not any("clew/probe" in frame[0] for frame in error[2])
    assert not switch.is_off
