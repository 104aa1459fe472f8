"""The settings of a server: from flags of ``clew serve``, else from ``CLEW_SERVER_*`` of the environment."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from clew.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "CLEW_SERVER_"
KEY_VARIABLE = PREFIX + "KEY"
_SWITCH = {"on": True, "1": True, "true": True, "yes": True, "off": False, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server may do, and how much of it.

    Attributes:
        host: Address to bind.
        port: Port to bind; 0: a free one.
        require_key: Ask for a key on loopback too.
        key: A key that has the role of an admin, beside those in the store.
        hosts: Names by which a proxy asks for this server, beside those of its own address.
        cors: Origins whose pages may read answers; none: only the server's own.
        body_bytes: Most bytes of an ingest request, as sent and as decompressed.
        small_body_bytes: Most bytes of the body of any other request.
        body_idle_s: Longest pause within a body.
        body_s: Longest time a body may take.
        head_s: Longest time until the head of a request is there.
        keep_alive_s: How long an idle connection is kept.
        max_requests: Requests answered at a time; the next one is told to come again.
        max_connections: Connections held at a time.
        max_live: Clients that follow the changes at a time.
        rate_per_s: Requests a second and client, over time.
        rate_burst: Requests a client may send at once.
        disk_bytes: Free disk space below which the server says it is degraded.
        shutdown_s: How long requests may take after the server was told to end.
        log_level: Least level of what is logged.
        log_requests: Log every request.
        store: Address of the catalog; empty: a folder of the user's.
        blobs: Address of the blobs; empty: beside the catalog.
        worker: Start a worker beside the server.
    """

    host: str = "127.0.0.1"
    port: int = 7777
    require_key: bool = False
    key: str = ""
    hosts: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    body_bytes: int = 64 << 20
    small_body_bytes: int = 1 << 20
    body_idle_s: float = 10.0
    body_s: float = 60.0
    head_s: float = 10.0
    keep_alive_s: int = 30
    max_requests: int = 256
    max_connections: int = 1024
    max_live: int = 128
    rate_per_s: float = 1000.0
    rate_burst: int = 5000
    disk_bytes: int = 256 << 20
    shutdown_s: int = 5
    log_level: str = "INFO"
    log_requests: bool = True
    store: str = ""
    blobs: str = ""
    worker: bool = True

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def needs_key(self) -> bool:
        """Whether a key is asked for even if none was ever made.

        A proxy on this machine makes everybody a client of loopback, so a name for a
        proxy to ask by means the same as another address.
        """
        return not self.is_loopback or self.require_key or bool(self.key) or bool(self.hosts)


def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an address, can only mean this machine."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load(flags: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Gather the settings: *flags* that are not None beat the environment, which beats the defaults.

    Raises:
        ConfigError: A value has no meaning.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for field in fields(Settings):
        text = environ.get(PREFIX + field.name.upper())
        if text is not None:
            values[field.name] = _parse(field.name, field.default, text)
    values |= {name: value for name, value in (flags or {}).items() if value is not None}
    settings = replace(Settings(), **values)
    _check(settings)
    return settings


def _parse(name: str, default: Any, text: str) -> Any:
    try:
        if isinstance(default, bool):
            return _SWITCH[text.strip().lower()]
        if isinstance(default, tuple):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return type(default)(text.strip())
    except (KeyError, ValueError):
        wanted = "on or off" if isinstance(default, bool) else "a number"
        raise _wrong(f"environment variable {PREFIX}{name.upper()} is {text!r}", wanted) from None


def _check(settings: Settings) -> None:
    if not 0 <= settings.port <= 65_535:
        raise _wrong(f"the port is {settings.port}", "a number from 0 to 65535")
    if settings.key and len(settings.key) < 16:
        # The key itself is not shown: messages end up in logs.
        raise _wrong(f"{KEY_VARIABLE} has {len(settings.key)} characters", "at least 16, none of them guessable")
    for field in fields(Settings):
        value = getattr(settings, field.name)
        if isinstance(value, int | float) and not isinstance(value, bool) and field.name != "port" and value <= 0:
            raise _wrong(f"{field.name} is {value}", "more than 0")
    if settings.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise _wrong(f"log_level is {settings.log_level!r}", "DEBUG, INFO, WARNING, ERROR or CRITICAL")
    for origin in settings.cors:
        scheme, separator, rest = origin.partition("://")
        if scheme not in ("http", "https") or not separator or not rest or "/" in rest or "*" in rest:
            raise _wrong(f"the origin is {origin!r}", "scheme://host or scheme://host:port, without a path")


def _wrong(found: str, expected: str) -> ConfigError:
    return ConfigError("setting-value", found, f"expected {expected}", "correct it, see docs/howto/serve.md")
