"""``clew run``: start a program unchanged, drain its ring while it runs, say what was recorded.

The program runs in a process of its own, started as ``python app.py`` would start it, so
that its ``__main__``, tracebacks, exit code and signals are its own. This process is the
supervisor: it collects what the program and its children record, passes on signals, and
ends as the program ended.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clew.format import destination, sidecar
from clew.format.collector import Collector, rings_of
from clew.model.errors import UsageError
from clew.model.kinds import EventKind
from clew.probe import config
from clew.probe.startup import new_folder

if TYPE_CHECKING:
    from clew.format.drain import Drain
    from clew.model.findings import Finding

MAX_LINES = 12
"""Lines said at the end, at most."""
MAX_FINDINGS = 3
"""Findings named there."""
POLL_S = 0.01
CHILDREN_S = 0.2
"""How long children may outlive the program and still be collected by this process: those
of multiprocessing end a moment after it. A sidecar takes as long to start."""
FORWARDED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
_SENT_BY_KERNEL = 0x80  # SI_KERNEL: from the terminal, which sent it to the program too


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.usage = "clew run [options] [--] script.py args…  |  clew run [options] -m module args…  |  clew run [options] command args…"
    parser.add_argument(
        "-o", "--output", metavar="RECORDING", help="folder to record into (default .clew/NAME-START.clew)"
    )
    parser.add_argument("--service", metavar="NAME", help="name of the service")
    parser.add_argument(
        "--watch",
        metavar="PREFIX",
        action="append",
        help="record reads and writes of variables: of module PREFIX, or of bank.Account, or bank.Account.balance; repeatable",
    )
    # Not an optional value: that would take the script for it. argparse looks for the
    # whole argument among its options before it splits it at the equals sign.
    parser.add_argument(
        "--calls",
        "--calls=full",
        dest="calls",
        action="store_const",
        const="full",
        help="record every function call of user code",
    )
    parser.add_argument(
        "--calls=sampled", dest="calls", action="store_const", const="sampled", help="record stacks at intervals"
    )
    parser.add_argument("--calls=off", dest="calls", action="store_const", const="off", help=argparse.SUPPRESS)
    parser.add_argument("--sample", metavar="FRACTION", help="record this fraction of the runs")
    parser.add_argument("--log-level", metavar="LEVEL", help="least level of log records to record (default WARNING)")
    parser.add_argument("--disable", metavar="HOOKS", help="hooks to leave out, with commas")
    parser.add_argument("--server", metavar="URL", help="send the recording to this clew server")
    parser.add_argument(
        "--server-key-file",
        metavar="FILE",
        help=f"file with the server's API key (default: the environment variable {destination.KEY_VARIABLE})",
    )
    parser.add_argument("--report", metavar="FILE", help="write the findings as JSON")
    parser.add_argument("--quiet", action="store_true", help="say nothing at the end")
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="run a module")
    parser.add_argument("target", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def execute(args: argparse.Namespace) -> int:
    """Run the program, return its exit code."""
    target = _target(args)
    flags = {
        name: getattr(args, name)
        for name in (
            "output", "service", "watch", "calls", "sample", "log_level", "disable", "server", "server_key_file",
        )
    }  # fmt: skip
    settings = config.load(flags, project=str(Path.cwd()))
    server = _server_of(settings)
    folder, note = _make_folder(settings, target)
    if server is not None and folder is not None:
        server.write(str(folder))
        if not args.quiet:
            sys.stderr.write(server.warning)
    # A report is written from the recording: then all of it stays until the end.
    supervisor = Supervisor(folder, quiet=args.quiet, trims=not args.report)
    status = supervisor.run(target, settings)
    findings: list[Finding] = []
    if args.report or any(d.kinds.get(EventKind.ERROR_UNHANDLED, 0) for d in supervisor.drains):
        from clew.cli import report  # it reads recordings: not needed before the program starts

        recording, findings = report.findings_of(folder)
        if args.report:
            sys.stderr.write(report.write_report(args.report, recording, findings))
    supervisor.remove_sent()
    if not args.quiet:
        sys.stderr.write(_summary(supervisor, folder, note, status, findings))
    return _end_like(status)


def _target(args: argparse.Namespace) -> list[str]:
    """Return the interpreter's arguments for the program: ``[script, …]`` or ``[-m, module, …]``."""
    if args.module is not None:
        if not args.module:
            raise UsageError("usage", "-m stands at the end", "expected a module after it", "name the module to run")
        return ["-m", *args.module]
    target = args.target[1:] if args.target[:1] == ["--"] else args.target
    if not target:
        raise UsageError(
            "usage", "no program is named", "expected a script, or -m and a module", "try: clew run app.py"
        )
    script = Path(target[0])
    if script.exists() and (not script.is_dir() or (script / "__main__.py").exists()):
        return target
    return [_command(target[0]), *target[1:]]


def _command(name: str) -> str:
    """Return the script of a command that is installed beside clew, as in ``clew run pytest``."""
    command = Path(sys.executable).parent / name
    is_name = Path(name).name == name
    if is_name and command.is_file():
        with command.open("rb") as file:
            first, second = file.readline(256), file.readline(256)
        # Where the path of the interpreter is long, a shell starts it from the second line.
        if first.startswith(b"#!") and (b"python" in first or second.startswith(b"'''exec' ")):
            return str(command)
    elsewhere = shutil.which(name) if is_name else None
    raise UsageError(
        "no-script",
        f"there is no script {name!r}" + (f", and {elsewhere} is not of this Python" if elsewhere else ""),
        f"expected a Python file, or a Python command in {command.parent}",
        f"install clew where {elsewhere} is, or name a module with -m"
        if elsewhere
        else f"check the path; the working folder is {Path.cwd()}",
    )


def _make_folder(settings: config.Config, target: list[str]) -> tuple[Path | None, str]:
    """Make the recording folder; return it, and a note if it is not where it should be."""
    if settings.output:
        folder = Path(settings.output)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                "output-exists", f"{folder} exists", "expected a new folder", "choose another name, or remove it"
            )
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                "output-not-writable",
                f"{folder} cannot be made ({error.strerror})",
                "expected a place that can be written to",
                "choose another with -o",
            ) from None
        return folder, ""
    try:
        folder = Path(new_folder(settings.service or _name_of(target)))
    except UsageError as error:
        return None, f"clew: the program ran unrecorded: {error}\n"
    if not folder.is_relative_to(Path.cwd()):
        return folder, f"clew: {Path.cwd()} cannot be written to; the recording is in {folder} [output-moved]\n"
    return folder, ""


def _server_of(settings: config.Config) -> destination.Destination | None:
    """Return where the recording is to be sent, if anywhere."""
    if not settings.server:
        return None
    key = destination.find_key(os.environ, settings.server_key_file)
    return destination.Destination(settings.server, key, keeps=bool(settings.output), spool_bytes=settings.spool_bytes)


def _name_of(target: list[str]) -> str:
    return target[1] if target[0] == "-m" else Path(target[0]).name.removesuffix(".py")


class Supervisor:
    """Runs one program and collects what its processes record.

    Args:
        folder: The recording folder, or None to record nothing.
        quiet: Say nothing.
        trims: Whether what a server has taken may be removed while the program runs.
    """

    def __init__(self, folder: Path | None, *, quiet: bool, trims: bool = True) -> None:
        self.folder = folder
        self.quiet = quiet
        self.collector = Collector(folder, say=None if quiet else _say, trims=trims) if folder is not None else None
        self.seconds = 0.0
        """How long the program took."""
        self.unsent = (0, 0)
        """Events that the server has not taken, and of how many processes."""
        self.pid = 0
        self.is_removed = False
        self.still_running = 0

    @property
    def drains(self) -> list[Drain]:
        """What was collected from each process that ended."""
        return self.collector.finished if self.collector is not None else []

    def run(self, target: list[str], settings: config.Config) -> int:
        """Run the program to its end; return its wait status."""
        # Settings from the environment are among *settings*, where a flag may have beaten them.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
        # Its own signal mask, and default actions for what this interpreter ignores.
        waited = {*FORWARDED, signal.SIGCHLD}
        # Before a thread that sends is started: else a signal could go there, and not be waited for.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
        if self.collector is not None:
            self.collector.acquire()
            environ |= config.to_environ(settings)
            environ |= {"CLEW": "run", "CLEW_OUTPUT": str(self.collector.folder.absolute())}
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001  as multiprocessing does
        started = time.monotonic()
        self.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *flags, *target],
            environ,
            setsigmask=before,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
        status = self._wait(waited)
        self.seconds = time.monotonic() - started
        if self.collector is not None and not self.is_removed:
            self._finish(self.collector, status, settings.server_wait_s)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return status

    def _wait(self, waited: set[signal.Signals]) -> int:
        last_look = last_step = 0.0
        collector = self.collector
        if collector is not None:
            collector.keep.add(self.pid)
        while True:
            info = signal.sigtimedwait(waited, POLL_S if collector is not None else 1.0)
            if info is not None and info.si_signo != signal.SIGCHLD and info.si_code != _SENT_BY_KERNEL:
                os.kill(self.pid, info.si_signo)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if collector is not None:
                now = time.monotonic()
                if now - last_look > 0.05:
                    last_look = now
                    self._look()
                # A signal ends the wait early; the drain relies on a pause between steps.
                if now - last_step >= POLL_S:
                    last_step = now
                    collector.step()
            if pid:
                break
        return status

    def _finish(self, collector: Collector, status: int, server_wait_s: float) -> None:
        collector.find()
        collector.step()
        collector.finish(self.pid, **_exit_of(status))
        self._await_children(collector, server_wait_s)

    def _look(self) -> None:
        """Look for new rings, unless the recording was removed."""
        collector = self.collector
        if collector is None or self.is_removed:
            return
        if collector.is_folder_gone():
            self.is_removed = True
            collector.abandon()
        else:
            collector.find()

    def _await_children(self, collector: Collector, server_wait_s: float) -> None:
        """Collect from children that are about to end; leave the others, and what they send, to a sidecar."""
        deadline = time.monotonic() + CHILDREN_S
        while collector.find() and time.monotonic() < deadline:
            time.sleep(POLL_S)
            collector.step()
        sender = collector.sender
        if sender is not None and not collector.find():
            sender.hurry()
            collector.settle(server_wait_s, is_enough=_is_called)
        collector.release()
        if sender is not None:
            self.unsent = sender.unsent()
        # Only now: a child that forked a moment ago makes its ring before it looks who collects.
        self.still_running = len(rings_of(collector.folder))
        if self.still_running:
            sidecar.start(str(collector.folder))

    def remove_sent(self) -> None:
        """Remove what was only kept in order to be sent."""
        collector = self.collector
        if collector is not None and not self.is_removed and not self.still_running:
            collector.remove_sent()


def _is_called() -> bool:
    """Tell whether a signal came that a user or system sends to end a wait; take it."""
    return signal.sigtimedwait(FORWARDED, 0) is not None


def _say(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


def _exit_of(status: int) -> dict[str, Any]:
    code = os.waitstatus_to_exitcode(status)
    return {"exit": code} if code >= 0 else {"exit": code, "signal": signal.Signals(-code).name}


def _end_like(status: int) -> int:
    """End as the program did: return its exit code, or die of the same signal."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    sys.stderr.flush()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the program left its own
    if -code not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code  # a signal whose default is to be ignored


def _summary(supervisor: Supervisor, folder: Path | None, note: str, status: int, findings: list[Finding]) -> str:
    """Say in a few lines what was recorded, lost, seen, and what to type next."""
    collector = supervisor.collector
    if collector is None or folder is None:
        return note
    drains = collector.finished
    lines = [note] if note else []
    code = os.waitstatus_to_exitcode(status)
    if supervisor.is_removed:
        lines.append(
            f"clew: {_relative(folder)} was removed while the program ran; expected it to stay; nothing is kept [recording-removed]\n"
        )
        return "".join(lines)
    if not any(drain.pid == supervisor.pid for drain in drains):
        lines.append(
            "clew: the program was not recorded; expected a line above that says why, or else the file clew.pth beside the clew package; "
            f"install clew into the environment of {sys.executable} [not-recorded]\n"
        )
        return "".join(lines)
    events = sum(drain.events for drain in drains)
    size = sum(drain.size for drain in drains)
    processes = f"{len(drains)} process{'es' if len(drains) != 1 else ''}"
    sending = _sending(supervisor, folder)
    place = _relative(folder) if folder.exists() else sending.pop(0)
    lines.append(
        f"clew: recorded {events:,} events of {processes} in {supervisor.seconds:.1f} s, {_size(size)}: {place}\n"
    )
    lines += sending
    if code < 0:
        lines.append(
            f"clew: the program was ended by {signal.Signals(-code).name}; what it recorded until then is kept [killed]\n"
        )
    if supervisor.still_running:
        lines.append(
            f"clew: {supervisor.still_running} child process{'es' if supervisor.still_running > 1 else ''} of it still run and are recorded on [still-running]\n"
        )
    lines += _troubles(drains, collector.errors)
    lines += _unwatched(supervisor.pid, drains)
    lines += [f"clew: found: {finding.title} [{finding.kind}]\n" for finding in findings[:MAX_FINDINGS]]
    if len(findings) > MAX_FINDINGS:
        lines.append(f"clew: found: {len(findings) - MAX_FINDINGS} more; --report FILE writes them all\n")
    lines.append(f"clew: next: {f'clew show {_relative(folder)}' if folder.exists() else _page_of(supervisor)}\n")
    return "".join([*lines[: MAX_LINES - 1], lines[-1]] if len(lines) > MAX_LINES else lines)


def _sending(supervisor: Supervisor, folder: Path) -> list[str]:
    """Say what was sent where: the place first if the recording is nowhere else."""
    sender = supervisor.collector.sender if supervisor.collector is not None else None
    if sender is None:
        return []
    url = sender.destination.url
    if not folder.exists():
        return [f"sent to {url}"]
    events, processes = supervisor.unsent
    if supervisor.still_running:
        return [f"clew: it is sent to {url} as it is written: {_page_of(supervisor)}\n"]
    if sender.has_all:
        return [f"clew: sent to {url}: {_page_of(supervisor)}\n"]
    reason = sender.reason or (sender.problems or ["it is slow"])[0]
    place = _relative(folder)
    line = f"clew: {events:,} events of {processes} process{'es' if processes != 1 else ''} are not sent to {url} yet ({reason}); "
    line += f"they stay in {place}; send them with: clew push {place} [not-sent]\n"
    return [line]


def _page_of(supervisor: Supervisor) -> str:
    """Return the address of the program's own run on the server."""
    sender = supervisor.collector.sender if supervisor.collector is not None else None
    traces = [drain.process.get("trace") for drain in supervisor.drains if drain.pid == supervisor.pid]
    return f"{sender.destination.url}/runs/{traces[0]}" if sender is not None and traces else ""


def _troubles(drains: list[Drain], errors: list[str]) -> list[str]:
    lines: list[str] = []
    kinds = {EventKind.ERROR_UNHANDLED: 0, EventKind.ERROR_RAISED: 0}
    for drain in drains:
        for kind in kinds:
            kinds[kind] += drain.kinds.get(kind, 0)
    if any(kinds.values()):
        lines.append(
            f"clew: errors: {kinds[EventKind.ERROR_RAISED]} raised, {kinds[EventKind.ERROR_UNHANDLED]} unhandled\n"
        )
    dropped = sum(drain.dropped for drain in drains)
    if dropped:
        lines.append(
            f"clew: {dropped:,} events were dropped because the buffer was full; raise the setting buffer_events [dropped-events]\n"
        )
    lost = sum(drain.not_written for drain in drains)
    if lost or errors:
        reason = errors[0] if errors else "a write failed"
        lines.append(f"clew: {lost:,} events could not be written ({reason}); free some space [not-written]\n")
    for drain in drains:
        for name, problem in drain.end.get("problems", {}).items():
            lines.append(f"clew: hook {name} failed and was switched off: {problem} [hook-failed]\n")
    return lines[:6]


def _unwatched(pid: int, drains: list[Drain]) -> list[str]:
    """Say which prefixes of ``--watch`` matched nothing in any process, if that can be told."""
    ends: list[dict[str, Any]] = [drain.end["watch"] for drain in drains if "watch" in drain.end]
    for drain in drains:
        has_state = drain.kinds[EventKind.STATE_READ] or drain.kinds[EventKind.STATE_WRITE]
        if "watch" not in drain.end and (drain.pid == pid or has_state):
            return []  # it was killed, and has not said what it found
    first = ends[0].get("unmatched", ()) if ends else ()
    unmatched = [prefix for prefix in first if all(prefix in end.get("unmatched", ()) for end in ends)]
    if not unmatched:
        return []
    from clew.probe.watch.selection import unknown

    merged: dict[str, Any] = {"unmatched": unmatched, "refused": {}, "known": []}
    for end in ends:
        merged["refused"] |= end.get("refused", {})
        merged["known"] += end.get("known", ())
    return unknown(merged)


def _relative(folder: Path) -> str:
    try:
        return str(folder.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(folder)


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    power = min((len(str(size)) - 1) // 3, 3)
    return f"{size / 1000**power:.1f} {('B', 'kB', 'MB', 'GB')[power]}"
