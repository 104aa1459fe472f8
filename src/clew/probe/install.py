"""Begin and end recording in this process: gates, hooks, fork and exit."""

from __future__ import annotations

import atexit
import os
import sys
from _thread import get_ident

from clew.format import destination, ring, sidecar
from clew.model.errors import ClewError
from clew.probe import buffer, context, definitions, errors, journal, live, patching, seams
from clew.probe.config import Config, to_environ
from clew.probe.session import EXIT_WAIT_S, PROCESS_ENTITY, Session

PARENT_VARIABLE = "CLEW_PARENT"
session: Session | None = None
is_forked = False
"""This process was forked from a recorded one, and has not executed another program since."""
_has_sidecar = False
NOT_RECORDED = -1
forks: dict[int, int] = {}
"""By thread ident: the event of the fork the thread is about to make, or NOT_RECORDED for
one whose child only calls ``exec``. Kept by the seam; a fork it does not see (C code) is
caused by the last event of its thread."""
_leaving: dict[int, tuple[int, int]] = {}
"""By thread ident: process id and event of the fork under way."""


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
    global session, _has_sidecar
    if session is not None:
        raise ClewError(
            "already-recording",
            f"this process already records to {session.folder}",
            "expected one recording a process",
            "call clew.install() once",
        )
    new = Session(config, folder, parent=_parent_of(os.environ.pop(PARENT_VARIABLE, "")))
    new.problems = patching.problems
    new.at_begin += [lambda: context.begin(new), live.begin, errors.forget]
    errors.redactor = new.redactor
    session = new
    try:
        new.begin()
        if config.server and not supervised and new.parent is None:
            _name_server(config, new.folder)
        if not supervised and not ring.is_collected(folder):
            sidecar.start(folder)
            _has_sidecar = True
    except BaseException:
        session = None
        new.abandon()
        live.end()
        raise
    _tell_children(new)
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
    atexit.register(_at_exit)
    seams.install(new)
    if config.watch:
        from clew.probe import watch  # costs 5 ms, and only what is watched needs it

        watch.install(new)
    return new


def _name_server(config: Config, folder: str) -> None:
    """Leave word in *folder* where its recording is to be sent, unless somebody did.

    Only the first process of a recording decides: a child may find another pyproject.toml.
    """
    if os.path.exists(os.path.join(folder, destination.FILE_NAME)):
        return
    server = destination.Destination(
        config.server,
        destination.find_key(os.environ, config.server_key_file),
        keeps=bool(config.output),
        spool_bytes=config.spool_bytes,
    )
    server.write(folder)
    sys.stderr.write(server.warning)


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


def _at_exit() -> None:
    if session is None or session.map is None:
        return
    errors.record_last(PROCESS_ENTITY)
    session.end(reason="exit")
    if not _has_sidecar or not os.path.isdir(session.folder):
        return
    if session.config.watch:
        from clew.probe import watch

        sys.stderr.write("".join(watch.last_words()))
    if os.path.exists(session.ring_path) and not ring.is_collected(session.folder):
        sidecar.start(session.folder)  # the one before was killed
    if not session.wait_for_drain():
        sys.stderr.write(
            f"clew: the last events of {session.folder} are still being written; expected that to take less than "
            f"{EXIT_WAIT_S:.0f} s; 'clew repair' shows if any are missing [slow-drain]\n"
        )
    elif session.config.server:
        _await_sent(session)


def _await_sent(ended: Session) -> None:
    """Wait a little until the server has everything: in a container the sidecar ends with this process."""
    seconds = ended.config.server_wait_s
    reason = destination.why_unsent(ended.folder, f"{ended.process_id:016x}", seconds)
    if reason:
        sys.stderr.write(
            f"clew: {ended.config.server} has not taken everything yet ({reason}); expected that within {seconds} s; "
            f"clew goes on trying for a while; later: clew push {ended.folder} [not-sent]\n"
        )


# -- fork


def _before_fork() -> None:
    """Have every event ask for permission, until the child has a ring of its own."""
    if session is None:
        return
    ident = get_ident()
    seq = forks.get(ident)
    _leaving[ident] = (session.process_id, buffer.thread_state().cursor if seq is None else seq)
    session.forking.append(ident)
    buffer.raise_limit(0)


def _after_fork_in_parent() -> None:
    if session is None:
        return
    ident = get_ident()
    if _leaving.pop(ident, None) is not None:
        session.forking.remove(ident)


def _after_fork_in_child() -> None:
    """Begin a session of the child's own."""
    global session, is_forked, _has_sidecar
    if session is None:
        return
    is_forked = True
    old, session = session, None
    # C code may fork without the handlers that run before.
    parent = _leaving.get(get_ident(), (old.process_id, 0))
    _leaving.clear()
    forks.clear()
    buffer.leave_ring()
    journal.close_journal()
    spans = definitions.next_span()
    definitions.reset()
    _has_sidecar = False
    if not old.config.children or parent[1] == NOT_RECORDED or not os.path.isdir(old.folder):
        live.end()
        old.let_go()
        return
    patching.problems.clear()
    new = Session(old.config, old.folder, parent=parent, redactor=old.redactor)
    new.problems = patching.problems
    new.at_begin = [lambda: context.begin(new), *old.at_begin[1:]]
    new.at_end = old.at_end
    span = buffer.SPAN.get()
    buffer.SPAN.set(buffer.MAIN_SPAN)
    try:
        new.begin()
        # The ring first, the look second: a collector that ends does it the other way round.
        if not ring.is_collected(new.folder):
            sidecar.start(new.folder)
    except Exception:  # the child goes on, unrecorded
        new.abandon()
        live.end()
        old.let_go()
        return
    definitions.skip_spans(spans)
    if not span:  # forked by a run that is not sampled
        buffer.SPAN.set(0)
    session = new
    os.environ[PARENT_VARIABLE] = f"{new.process_id:016x}"
    old.let_go()
