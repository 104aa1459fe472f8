"""clew imports nothing that the program did not import itself."""

from __future__ import annotations

from clew.probe.seams._registry import SEAMS

TARGETS = [*sorted({targets[0] for targets in SEAMS.values()} - {"builtins", "os"}), "starlette.applications", "flask"]

PROGRAM = f"""
import importlib, os, sys

# Each in a child of its own: what one of them imports must not hide what another lacks.
for target in {TARGETS!r}:
    pid = os.fork()
    if pid:
        assert os.waitpid(pid, 0)[1] == 0, target
        continue
    try:
        importlib.import_module(target)
    except ImportError:
        print(target, "is not installed here", flush=True)
        os._exit(0)
    names = sorted(name for name in sys.modules if name.partition(".")[0] != "clew")
    # The standard library's own, public ones: those are what a program could notice.
    heavy = [name for name in names if name in {("asyncio", "threading", "logging", "concurrent.futures", "multiprocessing", "subprocess", "queue", "http.client", "socket", "ssl", "typing", "inspect", "dataclasses", "pathlib")!r}]
    print(target, *heavy, flush=True)
    os._exit(0)
"""


def test_hooking_a_library_imports_nothing_the_program_did_not(record, plain):
    """Whatever is imported first, no hook fails for it, and no module appears because of clew."""
    done = record(PROGRAM)

    assert done.returncode == 0, done.stderr
    assert done.problems == {}
    assert done.stdout == plain(PROGRAM).stdout
    assert "asyncio asyncio" in done.stdout
