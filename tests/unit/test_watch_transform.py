"""A module with notes behaves as it does without: results, output, errors, positions, lines."""

from __future__ import annotations

import builtins
import contextlib
import dis
import io
import os
import re
import sys
import sysconfig
import types
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.watch_programs import PROGRAMS

from clew.probe.patching import problems
from clew.probe.redact import Redactor
from clew.probe.watch import compiling, owners, places
from clew.probe.watch.events import switch
from clew.probe.watch.loading import NOTES
from clew.probe.watch.selection import Selection

FILE = "/nowhere/program.py"
REPEATABLE = (int, str, float, bool, type(None), bytes, complex)


@pytest.fixture(autouse=True)
def _forget() -> Any:
    """No test sees objects of another, and no note fails: it would be switched off in silence."""
    yield
    assert not switch.is_off, problems
    for table in (owners.owners, places.helds, compiling.stored_names):
        table.clear()
    owners.release(owners.live)


def with_notes(source: str | bytes, file: str = FILE) -> types.CodeType:
    code, _ = compiling.compile_unit(source, file, "program", NOTES, Selection(("program",), Redactor()))
    return code


def plain(source: str | bytes, file: str = FILE) -> types.CodeType:
    return compile(source, file, "exec", dont_inherit=True)


def outcome(code: types.CodeType) -> dict[str, Any]:
    """Run *code*; return everything a program could tell about it."""
    lines: list[tuple[str, int, str]] = []

    def trace(frame: types.FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename != FILE:
            return None
        lines.append((frame.f_code.co_name, frame.f_lineno, event))
        return trace

    namespace: dict[str, Any] = {"__name__": "program", "__file__": FILE, "__builtins__": builtins}
    output = io.StringIO()
    error: Any = None
    before = sys.gettrace()
    with contextlib.redirect_stdout(output):
        sys.settrace(trace)
        try:
            exec(code, namespace)
        except BaseException as raised:  # noqa: BLE001  the outcome
            error = raised
        finally:
            sys.settrace(before)
    return {
        "output": _without_addresses(output.getvalue()),
        "error": _described(error),
        "lines": lines,
        "names": list(namespace),
        "values": {name: value for name, value in namespace.items() if type(value) in REPEATABLE},
    }


def _without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", text)


def _described(error: BaseException | None) -> Any:
    if error is None:
        return None
    frames: list[Any] = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code is not outcome.__code__:
            positions = list(code.co_positions())[traceback.tb_lasti // 2]
            frames.append((code.co_filename, code.co_qualname, traceback.tb_lineno, positions))
        traceback = traceback.tb_next
    return (
        type(error),
        _without_addresses(str(error)),
        frames,
        _described(error.__context__),
        _described(error.__cause__),
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_with_notes_as_without(name: str) -> None:
    """Output, variables, exceptions with positions, and every line event are the same."""
    source = PROGRAMS[name]

    expected = outcome(plain(source))
    found = outcome(with_notes(source))

    assert found == expected


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_operation_keeps_its_position(name: str) -> None:
    """Each access, call and store of the plain code stands in the other, at the same columns."""
    source = PROGRAMS[name]

    for before, after in zip(all_codes(plain(source)), all_codes(with_notes(source)), strict=True):
        assert _operations(before) <= _operations(after)


def _operations(code: types.CodeType) -> set[Any]:
    kept = ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR", "STORE_SUBSCR", "DELETE_SUBSCR", "BINARY_OP")
    return {
        (i.opname, i.argval, i.positions)
        for i in dis.get_instructions(code)
        if i.opname.startswith((*kept, "BINARY_SUBSCR", "STORE_NAME", "STORE_GLOBAL", "STORE_FAST", "CONTAINS"))
        and i.opname not in ("STORE_FAST_STORE_FAST", "STORE_FAST_LOAD_FAST")
    }


def all_codes(code: types.CodeType) -> list[types.CodeType]:
    """*code* and every code in it, in order."""
    found = [code]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += all_codes(constant)
    return found


def _library_files() -> list[Path]:
    root = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(path for path in root.rglob("*.py") if "site-packages" not in path.parts)
    if os.environ.get("CLEW_TEST_ALL_FILES"):
        return files
    # A different 2 % for every file name is still the same files every time.
    return [path for path in files if zlib.crc32(path.name.encode()) % 50 == 0 and path.stat().st_size < 200_000]


def test_the_standard_library_keeps_its_lines_and_names() -> None:
    """Code objects of real files have the same lines, names, variables and flags with notes.

    A sample; all files with CLEW_TEST_ALL_FILES=1 (40 s).
    """
    compared = 0
    for path in _library_files():
        source = path.read_bytes()
        try:
            before = all_codes(plain(source, str(path)))
        except (SyntaxError, ValueError):
            continue  # test data
        after = all_codes(with_notes(source, str(path)))
        compared += 1
        assert len(before) == len(after), path
        for old, new in zip(before, after, strict=True):
            assert _shape(old) == _shape(new), (path, old.co_qualname)

    assert compared > 10


def _shape(code: types.CodeType) -> Any:
    lines = {line for *_, line in code.co_lines()} - {None}
    return (
        (code.co_qualname, code.co_filename, code.co_firstlineno, code.co_flags, lines, set(code.co_names)),
        (code.co_varnames, code.co_freevars, code.co_cellvars, code.co_argcount),
    )


@pytest.mark.filterwarnings("always")
def test_warnings_of_the_compiler_are_not_given_again(recwarn: pytest.WarningsRecorder) -> None:
    """Compiling with notes says nothing: the program's own loader did."""
    with_notes('x = "\\d"\nif x is 5: pass\n(1)(2) if False else None\n')

    assert not recwarn.list


# -- random programs

_NAMES = st.sampled_from(["a", "b"])
_ATTRIBUTES = st.sampled_from(["x", "y", "prop", "d", "slot", "missing", "shared"])
_KEYS = st.sampled_from(['"k"', "1", "k", "log(2)", "-1", '("k", k)', "G"])
_TARGETS = st.one_of(
    st.builds("{}.{}".format, _NAMES, _ATTRIBUTES),
    st.builds("{}.d[{}]".format, _NAMES, _KEYS),
    st.builds("D[{}]".format, _KEYS),
    st.builds("log({}).{}".format, _NAMES, _ATTRIBUTES),
    st.sampled_from(["G", "L", "a.next.x", 'a.next.d["k"]', "a", "k", "D"]),
)
_EXPRESSIONS = st.recursive(
    st.one_of(_TARGETS, st.sampled_from(["1", "'s'", "None", "k", "G", "a.m()", "{'k': 1}", "D", "a.next"])),
    lambda inner: st.one_of(
        st.builds("({} + {})".format, inner, inner),
        st.builds("log({})".format, inner),
        st.builds("({} in D)".format, inner),
        st.builds("({} in D in [D])".format, inner),
        st.builds("({} in log(D) in [{}])".format, inner, inner),
        st.builds("({} is not {} is {})".format, inner, inner, inner),
        st.builds("D.get({}, {})".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("[{} for i in range(2)]".format, inner),
        st.builds("(w := {})".format, inner),
        st.builds("(lambda: {})()".format, inner),
        st.builds("f'{{{}}}'".format, st.sampled_from(["a.x", "G", "D.get(1)"])),
    ),
    max_leaves=4,
)
_SIMPLE = st.one_of(
    st.builds("{} = {}".format, _TARGETS, _EXPRESSIONS),
    st.builds("{} = {} = {}".format, _TARGETS, _TARGETS, _EXPRESSIONS),
    st.builds("{} += {}".format, _TARGETS, _EXPRESSIONS),
    st.builds("{}, {} = {}, {}".format, _TARGETS, _TARGETS, _EXPRESSIONS, _EXPRESSIONS),
    st.builds("del {}".format, _TARGETS),
    st.builds("log({})".format, _EXPRESSIONS),
    st.builds("D.{}({})".format, st.sampled_from(["pop", "setdefault", "update"]), _EXPRESSIONS),
)


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for block in lines for line in block.split("\n")]


def _block(head: str, body: list[str], tail: str = "") -> str:
    return "\n".join([head, *_indented(body), *([tail] if tail else [])])


_STATEMENTS = st.recursive(
    _SIMPLE,
    lambda inner: st.one_of(
        st.builds(lambda e, b: _block(f"if {e}:", b), _EXPRESSIONS, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda t, b: _block(f"for {t} in range(2):", b), _TARGETS, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda t, b: _block(f"with Ctx() as {t}:", b), _TARGETS, st.lists(inner, min_size=1, max_size=3)),
        st.builds(
            lambda b: _block("try:", b, "except Exception as e:\n    log(type(e).__name__, str(e))"),
            st.lists(inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=6,
)
_PRELUDE = """
import contextlib
G = 1
D = {"k": {"k": 2}, 1: 1}
def log(*values):
    print(*[type(v).__name__ if hasattr(v, "m") or hasattr(v, "y") else v for v in values])
    return values[0]
class Ctx:
    def __enter__(self): return 4
    def __exit__(self, *_): return False
class A:
    shared = 3
    def __init__(self):
        self.x = 1; self.d = {"k": 1}; self.next = None
    def m(self): return self.x
    @property
    def prop(self): print("prop"); return self.x
    @prop.setter
    def prop(self, value): print("set prop"); self.x = value
class B:
    __slots__ = ("x", "y", "slot", "d", "next", "__dict__")
    def __init__(self):
        self.x = 1; self.d = {"k": 1}; self.next = A()
    def m(self): return self.y
    def __getattr__(self, name): print("getattr", name); raise AttributeError(name)
def run(k):
    global G
    L = 0
    a, b = A(), B()
    a.next = A()
"""


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_STATEMENTS, min_size=1, max_size=6))
def test_a_random_program_runs_with_notes_as_without(statements: list[str]) -> None:
    """Output, exceptions with positions, and line events are the same for generated code."""
    source = "\n".join([_PRELUDE.strip("\n"), *_indented(statements), 'run("k")', "print(G, D)"])
    try:
        expected = outcome(plain(source))
    except SyntaxError:
        return

    found = outcome(with_notes(source))

    assert found == expected, source
