"""Begin to record because of the environment: what ``clew.pth`` imports at start-up.

``CLEW=record`` records into ``CLEW_OUTPUT``, or a new folder below ``.clew``. Whatever
goes wrong here is one line on stderr; the program runs as if clew was not there.
"""

from __future__ import annotations

import os
import sys


def begin() -> None:
    """Begin to record if the environment asks for it."""
    mode = os.environ.get("CLEW", "")
    if mode not in ("record", "run"):
        return
    try:
        from clew.probe import config, install, session

        settings = config.load(project=None if mode == "run" else os.getcwd())
        folder = settings.output or new_folder(session.default_service())
        os.makedirs(folder, mode=0o700, exist_ok=True)
        # Only the process that `clew run` started is supervised; its children inherit
        # the environment it leaves them.
        os.environ["CLEW"] = "record"
        install.start(settings, folder, supervised=mode == "run")
    except Exception as error:  # never into the program
        sys.stderr.write(f"clew: this process is not recorded: {error}\n")


def new_folder(name: str) -> str:
    """Make a new recording folder and return its path.

    It stands below ``.clew``, or below the temporary folder when the working directory
    cannot be written to.
    """
    import time

    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in name)[:60] or "python"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for base in (
        os.path.join(os.getcwd(), ".clew"),
        os.path.join(os.environ.get("TMPDIR", "/tmp"), f"clew-{os.getuid()}"),
    ):
        for attempt in range(100):
            folder = os.path.join(base, f"{safe}-{stamp}{f'-{attempt}' if attempt else ''}.clew")
            try:
                os.makedirs(folder, mode=0o700)
            except FileExistsError:
                continue
            except OSError:
                break
            return folder
    raise OSError(f"no recording folder can be made in {os.getcwd()}/.clew nor in the temporary folder")


begin()
