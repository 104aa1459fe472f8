"""Begin to record because of the environment: what ``clew.pth`` imports at start-up.

``CLEW=record`` records into ``CLEW_OUTPUT``, or a new folder below ``.clew``. Whatever
goes wrong here is one line on stderr; the program runs as if clew was not there.
"""

from __future__ import annotations

import os
import sys

from clew.model.errors import ClewError, UsageError


def begin() -> None:
    """Begin to record if the environment asks for it."""
    mode = os.environ.get("CLEW", "")
    if mode not in ("record", "run") or _is_resource_tracker():
        return
    try:
        _start(mode)
    except Exception as error:  # never into the program
        # Its children would fail likewise, and say so again.
        os.environ.pop("CLEW", None)
        sys.stderr.write(f"clew: this process is not recorded: {_in_one_line(error)}\n")


def _is_resource_tracker() -> bool:
    """Tell whether this is multiprocessing's own helper, which runs no code of the program."""
    return any("multiprocessing.resource_tracker" in argument for argument in sys.orig_argv)


def _start(mode: str) -> None:
    from clew.probe import config, install, session

    here = working_folder()
    settings = config.load(project=None if mode == "run" else here or None)
    folder = settings.output
    if mode == "run" or install.PARENT_VARIABLE in os.environ:
        # Whoever removed the recording of a running program wants no other one.
        if not os.path.isdir(folder):
            return
    elif folder:
        _make(folder)
    else:
        folder = new_folder(session.default_service())
        if not here or not folder.startswith(here):
            sys.stderr.write(
                f"clew: {here or 'the working directory'} cannot be written to; the recording is in {folder} [output-moved]\n"
            )
    # Only the process that `clew run` started is supervised; its children inherit
    # the environment it leaves them.
    os.environ["CLEW"] = "record"
    install.start(settings, folder, supervised=mode == "run")


def working_folder() -> str:
    """Return the working directory, or nothing if it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(
            "output-not-writable",
            f"{folder} cannot be made ({error.strerror})",
            "expected a place that can be written to",
            "set CLEW_OUTPUT to another",
        ) from None


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, ClewError):
        return text
    return f"{type(error).__name__}: {text}; expected to be able to record; report it, or unset CLEW [not-recorded]"


def new_folder(name: str) -> str:
    """Make a new recording folder and return its path.

    It stands below ``.clew``, or below the temporary folder when the working directory
    cannot be written to.
    """
    import time

    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in name)[:60] or "python"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    here = working_folder()
    temporary = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"clew-{os.getuid()}")
    for base in (os.path.join(here, ".clew"), temporary) if here else (temporary,):
        for attempt in range(100):
            folder = os.path.join(base, f"{safe}-{stamp}{f'-{attempt}' if attempt else ''}.clew")
            try:
                os.makedirs(folder, mode=0o700)
            except FileExistsError:
                continue
            except OSError:
                break
            return folder
    raise UsageError(
        "output-not-writable",
        f"no recording folder can be made in {here}/.clew nor in {temporary}",
        "expected one of them to be writable",
        "name another place with -o or CLEW_OUTPUT",
    )


begin()
