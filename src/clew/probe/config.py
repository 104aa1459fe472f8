"""Settings: one table, three places they may come from.

A flag of ``clew run`` beats the environment (``CLEW_*``), which beats ``[tool.clew]`` in
the nearest pyproject.toml. ``docs/reference/settings.md`` is checked against the table.
"""

from __future__ import annotations

import os

from clew.format.destination import DEFAULT_SPOOL_BYTES, split_url
from clew.model.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, cast
else:

    def cast(kind: str, value: object) -> object:
        """Stand in for ``typing.cast``: importing ``typing`` costs the probe 5 ms."""
        return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a string")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    parts = cast("list[Any]", value) if isinstance(value, list | tuple) else [None]
    if not all(isinstance(part, str) for part in parts):
        raise TypeError("a list of strings, or one string with commas")
    return tuple(part for part in parts if part)


def _fraction(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise TypeError("a number from 0 to 1")
    return number


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _SWITCH:
        return _SWITCH[value.lower()]
    raise TypeError("on or off")


_SWITCH = {"on": True, "1": True, "true": True, "yes": True, "off": False, "0": False, "false": False, "no": False}


def _choice(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise TypeError("one of " + ", ".join(choices))
        return value

    return parse


def _count(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = low - 1
        if isinstance(value, bool) or not low <= number <= high:
            raise TypeError(f"a whole number from {low} to {high}")
        return number

    return parse


def _server(value: Any) -> str:
    url = _text(value).rstrip("/")
    if url:
        split_url(url)
    return url


class Setting:
    """One setting: its name, default, parser and meaning."""

    def __init__(self, name: str, default: Any, parse: Callable[[Any], Any], meaning: str) -> None:
        self.name = name
        self.default = default
        self.parse = parse
        self.meaning = meaning

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "CLEW_" + self.name.upper()


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "OFF")

SETTINGS = (
    Setting("output", "", _text, "The recording folder; by default .clew/NAME-START.clew."),
    Setting("service", "", _text, "Name of the service; by default the name of the script or module."),
    Setting("environment", "", _text, "Name of the deployment, e.g. staging."),
    Setting("watch", (), _names, "Module prefixes whose attribute, global and dict-item accesses are recorded."),
    Setting(
        "calls",
        "off",
        _choice("off", "full", "sampled"),
        "Function calls of user code: every entry and exit, or stacks at intervals.",
    ),
    Setting(
        "calls_interval_us", 10_000, _count(100, 10_000_000), "Microseconds between two stacks of `calls = sampled`."
    ),
    Setting("sample", 1.0, _fraction, "Fraction of the runs that are recorded; a run is recorded whole or not at all."),
    Setting("exclude", (), _names, "Paths of HTTP requests that are not recorded; * matches anything."),
    Setting("include", (), _names, "If given, only HTTP requests to these paths are recorded; * matches anything."),
    Setting("log_level", "WARNING", _choice(*LOG_LEVELS), "Least level of the log records that are recorded."),
    Setting(
        "locks",
        "user",
        _choice("user", "all", "off"),
        "Which threading.Lock objects are recorded: those user code makes, all, none.",
    ),
    Setting("headers", (), _names, "HTTP header names whose values are recorded (redacted); by default none."),
    Setting("redact_keys", (), _names, "Further key names whose values are secret, beside the built-in ones."),
    Setting("redact_values", (), _names, "Further regular expressions for secret values."),
    Setting("propagate", True, _switch, "Send the traceparent header with HTTP requests."),
    Setting("children", True, _switch, "Record child processes too."),
    Setting("disable", (), _names, "Hooks to leave out, e.g. `httpx, threading.Lock`."),
    Setting("buffer_events", 65_536, _count(1024, 1 << 22), "Events the ring holds while they wait to be written."),
    Setting("server", "", _server, "URL of a clew server to send the recording to, e.g. `http://127.0.0.1:7777`."),
    Setting(
        "server_key_file", "", _text, "File that holds the API key of the server; by default `CLEW_SERVER_KEY` has it."
    ),
    Setting(
        "server_wait_s", 5, _count(0, 3600), "Most seconds to wait at the end until the server has taken everything."
    ),
    Setting(
        "spool_bytes",
        DEFAULT_SPOOL_BYTES,
        _count(1 << 20, 1 << 50),
        "Bytes that may wait on the disk for a server that is away; beyond it events are dropped and counted. No limit with `output`.",
    ),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


class Config:
    """The settings in force, as attributes."""

    output: str
    service: str
    environment: str
    watch: tuple[str, ...]
    calls: str
    calls_interval_us: int
    sample: float
    exclude: tuple[str, ...]
    include: tuple[str, ...]
    log_level: str
    locks: str
    headers: tuple[str, ...]
    redact_keys: tuple[str, ...]
    redact_values: tuple[str, ...]
    propagate: bool
    children: bool
    disable: tuple[str, ...]
    buffer_events: int
    server: str
    server_key_file: str
    server_wait_s: int
    spool_bytes: int

    def __init__(self, values: Mapping[str, Any]) -> None:
        for setting in SETTINGS:
            setattr(self, setting.name, values.get(setting.name, setting.default))


def load(
    flags: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None, project: str | None = None
) -> Config:
    """Gather the settings from flags, environment and pyproject.toml.

    Args:
        flags: Values that beat every other place; None values are ignored.
        environ: By default ``os.environ``.
        project: Folder from which pyproject.toml is looked for upwards; None: no file.

    Raises:
        ConfigError: A setting is unknown or has no meaning, or the file does not parse.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    if project is not None:
        values |= _from_project(project)
    for setting in SETTINGS:
        text = environ.get(setting.variable)
        if text is not None:
            values[setting.name] = _parse(setting, text, f"environment variable {setting.variable}")
    for name, value in (flags or {}).items():
        if value is not None:
            values[name] = _parse(BY_NAME[name], value, f"--{name.replace('_', '-')}")
    return Config(values)


def to_environ(config: Config) -> dict[str, str]:
    """Return the environment variables that give a child process *config*."""
    result: dict[str, str] = {}
    for setting in SETTINGS:
        value = getattr(config, setting.name)
        if value != setting.default:
            if isinstance(value, tuple):
                value = ",".join(map(str, cast("tuple[object, ...]", value)))
            elif isinstance(value, bool):
                value = "on" if value else "off"
            result[setting.variable] = str(value)
    return result


def find_project(folder: str) -> str | None:
    """Return the nearest pyproject.toml from *folder* upwards, or None."""
    while True:
        path = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _from_project(folder: str) -> dict[str, Any]:
    path = find_project(folder)
    if path is None:
        return {}
    import tomllib  # costs 4 ms, and most processes get their settings by environment

    try:
        with open(path, "rb") as file:
            table = tomllib.load(file).get("tool", {}).get("clew", {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            "config-file", f"{path} cannot be read: {error}", "expected a TOML file", "mend the file"
        ) from None
    if not isinstance(table, dict):
        raise ConfigError("config-file", f"tool.clew in {path} is not a table", "expected [tool.clew]", "mend the file")
    values: dict[str, Any] = {}
    for name, value in cast("dict[str, Any]", table).items():
        setting = BY_NAME.get(name.replace("-", "_"))
        if setting is None:
            raise ConfigError(
                "unknown-setting",
                f"[tool.clew] in {path} has a setting {name!r}",
                f"known: {', '.join(BY_NAME)}",
                "correct or remove it",
            )
        values[setting.name] = _parse(setting, value, f"[tool.clew] {name} in {path}")
    return values


def _parse(setting: Setting, value: Any, place: str) -> Any:
    try:
        return setting.parse(value)
    except TypeError as error:
        raise ConfigError(
            "setting-value", f"{place} is {value!r}", f"expected {error}", "correct it, see docs/reference/settings.md"
        ) from None
