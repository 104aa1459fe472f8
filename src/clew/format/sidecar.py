"""Start the sidecar: the detached process that drains the rings of a recording.

It leads a session of its own, holds none of the starter's files open, nor its working
directory, and is nobody's child: the starter sees no zombie and need not wait for it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The parent of the fork ends before anything slow is imported: the starter waits for it.
_CODE = """\
import os, sys
if os.fork():
    os._exit(0)
os.setsid()
os.chdir("/")
null = os.open(os.devnull, os.O_RDWR)
for fd in range(3):
    os.dup2(null, fd)
os.closerange(3, os.sysconf("SC_OPEN_MAX"))
sys.path.insert(0, sys.argv[1])
from clew.format.collector import main
main(sys.argv[2])
"""


def start(folder: str) -> None:
    """Start a sidecar for the recording at *folder*; it ends at once if there is one.

    Raises:
        OSError: The interpreter cannot be started.
    """
    # -I: neither the environment nor a file in the working directory changes what it imports.
    command = [sys.executable, "-I", "-S", "-c", _CODE, _ROOT, os.path.abspath(folder)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CLEW", "PYTHON"))}
    pid = os.posix_spawn(sys.executable, command, environ, setsigmask=[])
    with suppress(ChildProcessError):  # a signal handler of the program's reaped it
        os.waitpid(pid, 0)
