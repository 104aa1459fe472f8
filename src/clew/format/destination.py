"""Where a recording is sent: the file ``.server`` in its folder, for whoever collects it.

``clew run``, or the first process that records by itself, writes it; every collector of
the folder reads it, also one that takes over later. It is the only file that ever holds
the key, its mode is 0600, and it goes when everything was sent.

The observed process imports this module: nothing but what it has anyway.
"""

from __future__ import annotations

import json
import os
import time

from clew.model.errors import ClewError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE_NAME = ".server"
AWAY_NAME = ".away"
"""Stands in the folder while the server takes nothing; holds the reason."""
SENT_SUFFIX = ".sent"
"""An empty file ``PROCESS.sent`` says that everything of an ended process was acknowledged."""
KEY_VARIABLE = "CLEW_SERVER_KEY"
DEFAULT_SPOOL_BYTES = 2_000_000_000
MAX_KEY = 4096
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("localhost", "::1")


class Destination:
    """A server, and how to treat what was sent there.

    Args:
        url: Where the server answers, as ``split_url`` takes it.
        key: API key, or nothing.
        keeps: The local recording was asked for too: nothing of it is removed.
        spool_bytes: How much may wait locally; beyond it events are dropped and counted.
    """

    def __init__(self, url: str, key: str = "", *, keeps: bool = False, spool_bytes: int = DEFAULT_SPOOL_BYTES) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self.keeps = keeps
        self.spool_bytes = spool_bytes
        self.scheme, self.host, self.port, self.path = split_url(url)

    def __repr__(self) -> str:
        return f"Destination({self.url!r})"  # the key is nobody's business

    @property
    def is_open_to_others(self) -> bool:
        """Whether what is sent can be read on its way: unencrypted, and to another machine."""
        is_loopback = self.host in _LOOPBACK or (
            self.host.startswith("127.") and self.host.replace(".", "").isdecimal()
        )
        return self.scheme == "http" and not is_loopback

    @property
    def warning(self) -> str:
        """What to tell the user once about this destination, or nothing."""
        if not self.is_open_to_others:
            return ""
        what = "the recording and the key travel" if self.key else "the recording travels"
        return (
            f"clew: {what} unencrypted to {self.host}; expected https:// for another machine; "
            "put TLS before the server, or go through a tunnel [server-unencrypted]\n"
        )

    def write(self, folder: str) -> None:
        """Write it into *folder*.

        Raises:
            OSError: It cannot be written.
        """
        path = os.path.join(folder, FILE_NAME)
        value = {"url": self.url, "key": self.key, "keeps": self.keeps, "spool_bytes": self.spool_bytes}
        # Written aside and then moved: another process finds it whole or not at all.
        aside = f"{path}.{os.getpid()}"
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, json.dumps(value).encode())
        finally:
            os.close(fd)
        os.replace(aside, path)


def read_destination(folder: str) -> Destination | None:
    """Return where the recording at *folder* is sent, or None if nowhere, or it cannot be told."""
    try:
        with open(os.path.join(folder, FILE_NAME), "rb") as file:
            value: dict[str, Any] = json.loads(file.read(1 << 16))
        return Destination(
            str(value["url"]), str(value["key"]), keeps=bool(value["keeps"]), spool_bytes=int(value["spool_bytes"])
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def clear_marks(folder: str) -> None:
    """Remove the key and everything else that only matters while a recording is being sent."""
    for name in os.listdir(folder):
        if name in (FILE_NAME, AWAY_NAME) or name.endswith(SENT_SUFFIX):
            os.unlink(os.path.join(folder, name))


def why_unsent(folder: str, process: str, seconds: float) -> str:
    """Wait until everything of an ended process was sent; return why it was not, or nothing.

    Args:
        folder: The recording folder.
        process: Id of the process, 16 hex digits.
        seconds: Longest time to wait; it ends sooner when the server is known to be away.
    """
    deadline = time.monotonic() + seconds
    while os.path.exists(os.path.join(folder, FILE_NAME)):
        if os.path.exists(os.path.join(folder, process + SENT_SUFFIX)):
            break
        try:
            with open(os.path.join(folder, AWAY_NAME), encoding="utf-8", errors="replace") as file:
                return file.read(1000) or "it is away"
        except OSError:
            pass  # all is well
        if time.monotonic() > deadline:
            return f"it took longer than {seconds:.0f} s"
        time.sleep(0.005)
    return ""


def split_url(text: str) -> tuple[str, str, int, str]:
    """Take the URL of a server apart.

    Without ``urllib.parse``, which the observed process may not have imported.

    Returns:
        Scheme, host (without the brackets of an IPv6 address), port, and the path without
        a slash at its end.

    Raises:
        TypeError: It is not one; the text says what is expected.
    """
    scheme, _, rest = text.partition("://")
    place, slash, path = rest.partition("/")
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        is_host = bool(bracket) and port[:1] in ("", ":")
        port = port[1:]
    else:
        host, _, port = place.partition(":")
        is_host = True
    is_plain = all("!" <= character <= "~" and character not in "?#@\\" for character in text)
    if scheme not in _PORTS or not host or not is_host or not is_plain or not _is_port(port):
        raise TypeError("a URL such as http://127.0.0.1:7777 or https://clew.example.org, without user or query")
    return scheme, host, int(port or _PORTS[scheme]), (slash + path).rstrip("/")


def _is_port(text: str) -> bool:
    return not text or (text.isdecimal() and 0 < int(text) < 65_536)


def find_key(environ: Any, key_file: str) -> str:
    """Return the API key from *key_file*, or else from the environment, or nothing.

    Raises:
        ClewError: The file cannot be read, or what was found cannot be a key.
    """
    place = f"the file {key_file}" if key_file else f"the environment variable {KEY_VARIABLE}"
    if key_file:
        try:
            with open(key_file, encoding="utf-8", errors="replace") as file:
                key = file.read(MAX_KEY + 1)
        except OSError as error:
            raise ClewError(
                "server-key",
                f"{place} cannot be read ({error.strerror})",
                "expected a file that holds the key and nothing else",
                "name another one with --server-key-file",
            ) from None
    else:
        key = environ.get(KEY_VARIABLE, "")
    key = key.strip()
    if len(key) > MAX_KEY or not all("!" <= character <= "~" for character in key):
        raise ClewError(
            "server-key",
            f"what {place} holds cannot be a key",
            f"expected one word of at most {MAX_KEY} printable ASCII characters",
            "copy the key again, as 'clew serve' or its page showed it",
        )
    return key
