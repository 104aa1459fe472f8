"""``--watch`` changes nothing: what a program prints, raises, is called and finds out about itself."""

from __future__ import annotations

import marshal
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Record

Plain = Callable[..., subprocess.CompletedProcess[str]]
WATCHED = ("--watch", "program", "--watch", "helper", "--watch", "package")

PROGRAMS = {
    "what a script knows of itself": """
        import inspect, sys, traceback
        class C:
            def where(self):
                self.x = 1
                return [(f.function, f.lineno, f.code_context) for f in inspect.stack()]
        def main():
            print(C().where(), traceback.format_stack())
            print(inspect.getsource(C), inspect.getsource(main), inspect.signature(C.where))
        main()
        print(__name__, __file__, __spec__, __package__, __doc__, __cached__, type(__loader__), __builtins__)
        print(sys.argv, sys.path[0], sys.orig_argv[-1:], sorted(n for n in globals()))
        print(sys.modules["__main__"].__dict__ is globals(), sys._getframe().f_back)
        print(sys.path_hooks, [n for n in sys.modules if n == "runpy"], sys.path_importer_cache.get(__file__, 0))
        """,
    "an exception nobody handles": """
        class C:
            def boom(self):
                self.x = {"k": 1}
                self.x["k"] += self.missing + \\
                    1
        try:
            C().boom()
        except AttributeError as error:
            raise KeyError("second") from error
        """,
    "an exit code": "class C: pass\nc = C()\nc.x = 7\nraise SystemExit(c.x)\n",
    "an exit message": "import sys\nclass C: pass\nC.x = 'bye'\nsys.exit(C.x)\n",
    "a syntax error": "x = 1\ny = = 2\n",
    "a compiler's warning": "x = 1\nif x is 1: print('one')\n",
    "pickling, copying, dataclasses": """
        import copy, dataclasses, enum, pickle
        @dataclasses.dataclass(order=True)
        class Point:
            x: int
            y: dict = dataclasses.field(default_factory=dict)
        class S:
            __slots__ = ("a",)
        class Colour(enum.Flag):
            RED = 1
            BLUE = 2
        p = Point(1, {"k": 2}); p.x += 1; p.y["k"] += 1
        s = S(); s.a = p
        print(pickle.loads(pickle.dumps(p)), copy.deepcopy(s).a, Colour.RED | Colour.BLUE)
        print(len(pickle.dumps(p)), dataclasses.asdict(p), p < Point(9), Point.__match_args__, S.a)
        """,
    "star imports, reloads, decorators": """
        import functools, importlib
        from helper import *
        import helper
        @functools.lru_cache
        def f(x): return helper.total + x
        add(2); print(f(1), total, helper.total)
        importlib.reload(helper)
        add(1); print(helper.total, helper.__spec__, helper.__cached__ is not None, helper.__file__, type(helper.__loader__))
        print(importlib.util.find_spec("helper"), add.__code__.co_consts[:1], add.__code__.co_names)
        """,
    "packages, resources, relative imports": """
        import inspect, pkgutil, package.inner
        from importlib import resources
        print(package.inner.value(), package.__path__, inspect.getsource(package.inner.value))
        print(resources.files(package).joinpath("data.txt").read_text(), pkgutil.get_data("package", "data.txt"))
        """,
    "signals, threads and tasks": """
        import asyncio, contextvars, signal, threading
        class Shared: pass
        shared = Shared(); shared.n = 0; shared.seen = {}
        def on(*_): shared.seen["signal"] = True
        signal.signal(signal.SIGUSR1, on); signal.raise_signal(signal.SIGUSR1)
        lock = threading.Lock()
        def work():
            for _ in range(200):
                with lock: shared.n += 1
        threads = [threading.Thread(target=work) for _ in range(4)]
        [t.start() for t in threads]; [t.join() for t in threads]
        async def main():
            async with asyncio.TaskGroup() as group:
                for i in range(3): group.create_task(step(i))
        async def step(i):
            seen = shared.n; await asyncio.sleep(0); shared.n = seen + 1
        asyncio.run(main())
        print(shared.n, shared.seen)
        """,
    "settrace and coverage of lines": """
        import sys
        lines = []
        def trace(frame, event, arg):
            if frame.f_code.co_filename != __file__: return None
            lines.append((event, frame.f_lineno)); return trace
        class C: pass
        def f():
            c = C()
            c.x = {"k": 1}
            if "k" in c.x and (n := c.x.get("k")):
                c.x["k"] += n
            return [c.x[k] for k in c.x]
        sys.settrace(trace); f(); sys.settrace(None)
        print(lines)
        """,
    "recursion to the limit": """
        import sys
        sys.setrecursionlimit(200)
        class C:
            n = 0
            def down(self):
                self.n += 1
                return self.down()
        c = C()
        try: c.down()
        except RecursionError as error: print(type(error), c.n > 50)
        print(c.n == c.n)
        """,
}


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("total = 0\ndef add(n):\n    global total\n    total += n\n")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import value\nSTATE = {}\n")
    (package / "inner.py").write_text(
        "import package\ndef value():\n    package.STATE['k'] = 1\n    return package.STATE['k']\n"
    )
    (package / "data.txt").write_text("data")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_as_without(record: Record, plain: Plain, name: str) -> None:
    """Output, standard error, tracebacks with markers, and exit code are the same."""
    source = PROGRAMS[name]

    expected = plain(source)
    found = record(source, options=("--quiet", *WATCHED))

    assert _without_addresses(found.stdout) == _without_addresses(expected.stdout)
    assert found.stderr == expected.stderr
    assert found.returncode == expected.returncode
    assert not found.problems


def _without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", text)


@pytest.mark.parametrize("flags", [["-O"], ["-I"], ["-X", "utf8", "-b"], ["-W", "error"], ["-u", "-B"]], ids=" ".join)
def test_flags_of_the_interpreter_hold(tmp_path: Path, flags: list[str]) -> None:
    """A script that is watched runs under the flags it was started with."""
    script = tmp_path / "program.py"
    script.write_text(
        "import sys\nclass C: pass\nC.x = 1\nprint(sys.flags, sys.path, sys.argv, __debug__, C.x)\nassert C.x == 2\n"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}

    def run(**environ: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, *flags, str(script), "a", "-x"],
            capture_output=True, text=True, timeout=60, cwd=tmp_path.parent, check=False, env=clean | environ,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    expected = run()
    found = run(CLEW="record", CLEW_WATCH="program", CLEW_OUTPUT=str(tmp_path / "r.clew"))

    assert found == expected


def test_no_compiled_file_holds_notes(record: Record, tmp_path: Path) -> None:
    """What stands in ``__pycache__`` is what would stand there without."""
    source = "import helper\nhelper.add(1)\n"
    record(source, options=WATCHED, env={"PYTHONDONTWRITEBYTECODE": ""})

    (cached,) = (tmp_path / "__pycache__").glob("helper.*.pyc")

    code = marshal.loads(cached.read_bytes()[16:])
    assert code == compile(
        (tmp_path / "helper.py").read_bytes(), str(tmp_path / "helper.py"), "exec", dont_inherit=True
    )


def test_a_failing_note_never_reaches_the_program(record: Record) -> None:
    """A fault of ours switches the notes off, is told once, and the program goes on."""
    recorded = record(
        """
        class C: pass
        c = C()
        c.x = "before"
        from clew.probe.watch import summaries
        summaries._texts = None
        c.x = "after"
        c.d = {"k": 1}
        c.d["k"] += 1
        print(c.x, c.d)
        """,
        options=("--watch", "program"),
    )

    assert recorded.stdout == "after {'k': 2}\n"
    assert recorded.returncode == 0
    assert recorded.stderr.count("[hook-failed]") == 1
    assert "watch" in recorded.problems
    assert [e.attrs["value"] for e in recorded.of("state.write", entity="C.x")] == ["before"]


@pytest.mark.parametrize("broken", ["compiling.Transformer.module", "loading.compile_noted"])
def test_a_failing_transform_leaves_the_program_as_it_is(tmp_path: Path, broken: str) -> None:
    """Whatever fails while notes are put in, the module and the script run without them."""
    module, _, name = broken.partition(".")
    owner, _, attribute = name.rpartition(".")
    target = f"{module}.{owner}" if owner else module
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
        import sys
        from clew.probe.watch import compiling, loading, script
        def broken(*_): raise RuntimeError("ours")
        if {attribute!r} == "compile_noted": script.compile_noted = broken
        {target}.{attribute} = broken
        """)
    )
    script = tmp_path / "program.py"
    script.write_text("import helper\nhelper.add(2)\nclass C: pass\nC.x = helper.total\nprint(C.x, __name__)\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}

    done = subprocess.run(
        [sys.executable, "-m", "clew", "run", "-o", str(tmp_path / "r.clew"), *WATCHED, str(script)],
        capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False,
        env=clean | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "2 __main__\n"), done.stderr
