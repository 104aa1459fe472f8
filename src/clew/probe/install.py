"""Begin and end recording in this process: gates, hooks, fork and exit."""

from __future__ import annotations

import atexit
import os
import sys

from clew.format import ring
from clew.model.errors import ClewError
from clew.probe import buffer, context, definitions, errors, journal, live, patching, seams
from clew.probe.config import Config, to_environ
from clew.probe.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PARENT_VARIABLE = "CLEW_PARENT"
session: Session | None = None
_supervised = False
_fork_admission: Any = None
_fork_parent: tuple[int, int] = (0, 0)


def start(config: Config, folder: str, *, supervised: bool) -> Session:
    """Record this process from here on.

    Args:
        config: The settings in force.
        folder: The recording folder, which exists.
        supervised: ``clew run`` drains the ring; otherwise a sidecar is started if no
            collector works on the folder yet.

    Raises:
        ClewError: The ring cannot be made.
    """
    global session, _supervised
    if session is not None:
        raise ClewError(
            "already-recording",
            f"this process already records to {session.folder}",
            "expected one recording a process",
            "call clew.install() once",
        )
    _supervised = supervised
    new = Session(config, folder, parent=_parent_of(os.environ.pop(PARENT_VARIABLE, "")))
    new.problems = patching.problems
    new.at_begin += [lambda: context.begin(new), live.begin]
    errors.redactor = new.redactor
    session = new
    try:
        new.begin()
    except BaseException:
        session = None
        raise
    if not supervised and not ring.is_collected(folder):
        _start_sidecar(folder)
    _tell_children(new)
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
    atexit.register(_at_exit)
    seams.install(new)
    if config.watch:
        from clew.probe import watch  # costs 5 ms, and only what is watched needs it

        watch.install(new)
    return new


def _parent_of(text: str) -> tuple[int, int] | None:
    try:
        return (int(text, 16), 0)
    except ValueError:
        return None


def _tell_children(current: Session) -> None:
    """Put into the environment what makes a child Python process record itself too."""
    if not current.config.children:
        for name in [name for name in os.environ if name == "CLEW" or name.startswith("CLEW_")]:
            del os.environ[name]
        return
    os.environ.update(to_environ(current.config))
    os.environ["CLEW"] = "record"
    os.environ["CLEW_OUTPUT"] = current.folder
    os.environ[PARENT_VARIABLE] = f"{current.process_id:016x}"
    os.environ.pop("CLEW_SERVICE", None)


def _start_sidecar(folder: str) -> None:
    """Start the process that drains the ring, detached from this one."""
    command = [
        sys.executable,
        "-S",
        "-E",
        "-c",
        _SIDECAR,
        os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
        folder,
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CLEW", "PYTHON"))}
    pid = os.posix_spawn(sys.executable, command, environ)
    os.waitpid(pid, 0)  # it detaches at once; its child does the work


_SIDECAR = "import sys; sys.path.insert(0, sys.argv[1]); from clew.format.collector import main; main(sys.argv[2])"


def _at_exit() -> None:
    if session is None or session.map is None:
        return
    session.end(reason="exit")
    if not _supervised and not session.wait_for_drain() and ring.is_collected(session.folder):
        sys.stderr.write(
            f"clew: the last events of {session.folder} are still being written; 'clew repair' shows if any are missing [slow-drain]\n"
        )


# -- fork


def _before_fork() -> None:
    """Close the gate: the child must not write into the ring it shares for an instant."""
    global _fork_admission, _fork_parent
    if session is None:
        return
    state = buffer.thread_state()
    _fork_parent = (session.process_id, state.cursor)
    _fork_admission = buffer.set_admission()


def _after_fork_in_parent() -> None:
    if session is not None and _fork_admission is not None:
        buffer.set_admission(_fork_admission)


def _after_fork_in_child() -> None:
    """Begin a session of its own at the first event, if there ever is one."""
    global session
    if session is None:
        return
    old, session = session, None
    journal.close_journal()
    definitions.reset()
    if not old.config.children:
        return
    new = Session(old.config, old.folder, parent=_fork_parent)
    new.at_begin = [lambda: context.begin(new), *old.at_begin[1:]]
    new.at_end = old.at_end
    new.problems = patching.problems
    patching.problems.clear()
    session = new
    os.environ.pop(PARENT_VARIABLE, None)
    buffer.set_admission(_begin_in_child)


def _begin_in_child(_: int) -> int:
    """Make the child's own ring; return the number of the event that asked for it."""
    buffer.set_admission()
    if session is None:
        return 0
    try:
        session.begin()
    except Exception as error:  # the child goes on, unrecorded
        patching.report("fork", f"{type(error).__name__}: {error}")
        return 0
    os.environ[PARENT_VARIABLE] = f"{session.process_id:016x}"
    seq = buffer.next_number()
    return session.admit(seq)
