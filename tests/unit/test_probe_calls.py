"""Recorded calls: the bookkeeping that the integration tests do not reach."""

from __future__ import annotations

import opcode
import sys

import pytest

from clew.cli.main import build_parser
from clew.probe import buffer
from clew.probe.seams import _calls_profile, calls


def first():
    """Stand for a function that is open."""


def second():
    """Stand for one that it called."""


def third():
    """Stand for one that this called."""


@pytest.fixture
def state():
    """A thread in ``first``, which called ``second``, which called ``third``; nothing is written."""
    thread = buffer.ThreadState(1)
    for function in (first, second, third):
        thread.calls = (thread.calls, function.__code__, calls.LOST, 0, calls.NEVER, 0)
    return thread


def open_calls(thread):
    entry, codes = thread.calls, []
    while entry[1] is not None:
        codes.append(entry[1].co_name)
        entry = entry[0]
    return codes


def test_calls_inside_one_that_ended_unseen_are_over(state, monkeypatch):
    """A profiler of the program may have hidden their ends."""
    monkeypatch.delitem(sys.modules, "greenlet", raising=False)

    calls.end_other(state, second.__code__, calls.OK)

    assert open_calls(state) == ["first"]


def test_calls_of_another_greenlet_stay_open(state, monkeypatch):
    """A greenlet leaves its stack in the middle and comes back to it."""
    monkeypatch.setitem(sys.modules, "greenlet", object())

    calls.end_other(state, first.__code__, calls.OK)

    assert open_calls(state) == ["third", "second"]


def test_the_end_of_a_function_that_was_not_seen_to_begin_changes_nothing(state):
    """It was running when recording began."""
    calls.end_other(state, test_calls_of_another_greenlet_stay_open.__code__, calls.OK)

    assert open_calls(state) == ["third", "second", "first"]


def test_what_is_remembered_of_suspended_functions_is_bounded(monkeypatch):
    """Generators that are never finished do not pile up."""
    monkeypatch.setattr(calls, "MAX_SUSPENDED", 10)
    frames = [object() for _ in range(100)]

    for number, frame in enumerate(frames, 1):
        calls.note_suspended(frame, number)

    assert 0 < len(calls.suspended) <= 10
    assert calls.suspended[id(frames[-1])] == 100
    calls.forget()


def test_what_is_remembered_of_functions_is_bounded(monkeypatch):
    """A program that compiles code for ever does not make clew keep it for ever."""
    monkeypatch.setattr(calls, "MAX_CODES", 10)

    for number in range(100):
        calls.meet(compile(f"{number}", f"generated{number}.py", "exec"))

    assert 0 < len(calls.functions) <= 10
    calls.forget()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="only 3.11 is profiled by sys.setprofile")
def test_instructions_of_3_11_are_numbered_as_assumed():
    """``_calls_profile`` does not import ``opcode`` into the program."""
    expected = {name: getattr(_calls_profile, name) for name in ("RETURN_VALUE", "YIELD_VALUE", "RESUME")}

    assert {name: opcode.opmap[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("line", "mode", "target"),
    [
        ("--calls app.py", "full", ["app.py"]),
        ("--calls=full app.py --calls=sampled", "full", ["app.py", "--calls=sampled"]),
        ("--calls=sampled -o out app.py x", "sampled", ["app.py", "x"]),
        ("--calls --quiet app.py", "full", ["app.py"]),
        ("--calls -- app.py", "full", ["app.py"]),
        ("--calls=off app.py", "off", ["app.py"]),
        ("app.py --calls", None, ["app.py", "--calls"]),
        ("--service sampled app.py", None, ["app.py"]),
    ],
)
def test_calls_flag_leaves_the_program_and_its_arguments_alone(line, mode, target):
    """``--calls`` takes no value but one after an equals sign, and only before the program."""
    args = build_parser("run").parse_args(["run", *line.split()])

    assert args.calls == mode
    assert [part for part in args.target if part != "--"] == target


def test_calls_flag_before_a_module():
    """``-m`` begins the program."""
    args = build_parser("run").parse_args(["run", "--calls", "-m", "app", "--calls=sampled"])

    assert (args.calls, args.module) == ("full", ["app", "--calls=sampled"])


def test_calls_flag_with_another_value_is_refused(capsys):
    """Misuse is one line and exit code 2."""
    with pytest.raises(SystemExit) as caught:
        build_parser("run").parse_args(["run", "--calls=some", "app.py"])

    assert caught.value.code == 2
    assert "'some'" in capsys.readouterr().err
