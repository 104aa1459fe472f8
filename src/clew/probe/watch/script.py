"""Run the script of the process with notes, as the interpreter itself would run it.

``python app.py`` is executed by the interpreter, not by the import system. But first the
interpreter asks the path hooks whether the path is something to import from (a folder or
an archive with a ``__main__``), and if so it calls ``runpy._run_module_as_main``. So a hook
that claims the script's path makes the interpreter call us, in place of running the
script: from C, with no frame below. What we give it to call consists of built-in functions
down to ``exec`` of the script's code, so that the script's frame is the first of all:
tracebacks, ``inspect.stack()``, exit codes and signals are the interpreter's own.

Rejected: starting the program through a script of ours (its frames stay below the
program's on every stack, ``sys.orig_argv`` and ``ps`` show it), a pyc file in place of the
script (``__file__`` and ``sys.argv`` are wrong before the first line, constants cannot be
objects).
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from functools import partial

from clew.probe.patching import report
from clew.probe.watch.loading import compile_noted
from clew.probe.watch.selection import MAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from clew.probe.watch.selection import Selection

_Module = type(sys)


def watch_script(selection: Selection) -> None:
    """Have the script of this process, if it is not yet running, run with notes."""
    path = _script()
    if path:
        selection.name_main(os.path.basename(path).removesuffix(".py"))
        sys.path_hooks.append(_Hook(selection))


def _script() -> str:
    """Return the path of the script the interpreter will run, "" if it runs something else."""
    main = sys.modules.get(MAIN)
    if not sys.argv or sys.argv[0] in ("", "-", "-c", "-m") or hasattr(main, "__file__"):
        return ""
    return sys.argv[0]


class _Hook:
    """A path hook that claims the path of the script."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def __call__(self, path: str) -> Any:
        try:
            is_script = os.path.samefile(path, sys.argv[0]) and os.path.isfile(path)
        except OSError:
            is_script = False
        if not is_script:
            raise ImportError(path)
        sys.path_hooks.remove(self)
        try:
            code = self._compile(path)
        except Exception as error:  # the interpreter runs it, or says what is wrong with it
            report("watch", f"{type(error).__name__}: {error}")
            code = None
        if code is None:
            raise ImportError(path)
        before = sys.modules.get("runpy")
        sys.modules["runpy"] = _Runner(path, code, before)
        return self

    def _compile(self, path: str) -> CodeType | None:
        if "-x" in sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]:
            return None  # the first line of the file is to be skipped
        with open(path, "rb") as file:
            source = file.read()
        code = compile_noted(self._selection, source, path, MAIN)
        if code is not None:
            # For the warnings that the interpreter would give now.
            compile(source, path, "exec", dont_inherit=True)
        return code


class _Runner(_Module):  # pyright: ignore[reportUntypedBaseClass]  importing types costs more
    """Is ``runpy`` until the interpreter takes the function to call from it."""

    def __init__(self, path: str, code: CodeType, runpy: Any) -> None:
        super().__init__("runpy")
        self._clew = (path, code, runpy)

    def __getattr__(self, name: str) -> Any:
        if name != "_run_module_as_main":
            raise AttributeError(name)
        path, code, runpy = self._clew
        if runpy is None:
            del sys.modules["runpy"]
        else:
            sys.modules["runpy"] = runpy
        try:
            _set_up_as_script(path)
        except Exception as error:  # it runs all the same
            report("watch", f"{type(error).__name__}: {error}")
        main = sys.modules[MAIN].__dict__
        # Called with two arguments that we have no use for. `max` hands each to its key
        # function: the first is not in the mapping, so its factory runs the script; the
        # second is, and compares with whatever.
        run = defaultdict(partial(exec, code, main), {False: _Least()})
        return partial(max, key=run.__getitem__)  # pyright: ignore[reportCallIssue]  the factory returns None, like the script


class _Least:
    """Is greater than nothing."""

    def __gt__(self, other: object) -> bool:
        return False


def _set_up_as_script(path: str) -> None:
    """Make of ``sys.path`` and ``__main__`` what they are when a script runs.

    The interpreter put the path of the script itself first, as for an archive.
    Source: CPython 3.11-3.13, ``pymain_run_python`` in Modules/main.c,
    ``_PyPathConfig_ComputeSysPath0``, ``_PyRun_SimpleFile`` in Python/pythonrun.c.
    """
    sys.path_importer_cache[path] = None
    if sys.path and sys.path[0] == path:
        del sys.path[0]
    if not sys.flags.safe_path:
        sys.path.insert(0, os.path.dirname(os.path.realpath(sys.argv[0])))
    main = sys.modules[MAIN].__dict__
    main["__file__"] = path
    main["__cached__"] = None
    external = sys.modules["_frozen_importlib_external"]
    main["__loader__"] = external.SourceFileLoader("__main__", path)
