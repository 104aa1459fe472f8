"""Redaction: nothing secret leaves the observed process.

By key name (``password``, ``Authorization``) and by the shape of a value (tokens, keys,
card numbers), on attributes, arguments, environment, headers and URLs. What is taken
out is replaced by a fixed marker that never quotes it.

Can miss: secrets without a telling name or shape. Can wrongly redact: harmless values
under a telling name.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

MARK = "[redacted]"
MAX_TEXT = 512
"""Longest text kept of any value, in characters."""
MAX_ITEMS = 32
MAX_LEVELS = 4

_KEYS = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "access_key",
    "private_key",
    "credential",
    "authorization",
    "proxy_authorization",
    "cookie",
    "set_cookie",
    "session",
    "sessionid",
    "csrf",
    "xsrf",
    "signature",
    "auth",
    "bearer",
    "jwt",
    "otp",
    "pin",
    "ssn",
    "cvv",
    "card_number",
    "dsn",
    "connection_string",
    "x_api_key",
    "x_auth_token",
]
_VALUES = (
    # provider keys and tokens with a telling prefix
    r"\b(?:sk|pk|rk)[-_](?:live|test|ant|proj)?[-_]?[A-Za-z0-9_-]{16,}",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}\b|\bgithub_pat_[A-Za-z0-9_]{20,}\b|\bglpat-[A-Za-z0-9_-]{16,}",
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    r"\bA(?:KIA|SIA|ROA|IDA)[A-Z0-9]{16}\b",
    r"\bAIza[A-Za-z0-9_-]{30,}",
    r"\b(?:hf|npm|pypi|dop_v1|shpat|SG)[_.-][A-Za-z0-9_.-]{20,}",
    # structures
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"(?i)\b(?:bearer|basic|token)\s+[A-Za-z0-9._~+/=-]{12,}",
    r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
    # people
    r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+\b",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\b[A-Z]{2}\d{2}[A-Z0-9]{4}\d{7}[A-Z0-9]{0,16}\b",
)
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_ASSIGNMENT = (
    r"(?i)(?P<key>[\w.-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w.-]*)"
    r"(?P<between>[\"']?\s*[=:]\s*[\"']?)(?P<value>[^\s\"'&;,]{3,})"
)


class Redactor:
    """The rules in force.

    Args:
        keys: Further key names, beside the built-in ones.
        values: Further regular expressions for values.

    Raises:
        re.error: One of *values* does not compile.
    """

    def __init__(self, keys: Iterable[str] = (), values: Sequence[str] = ()) -> None:
        names = [*_KEYS, *(_plain(key) for key in keys)]
        # A name counts whole or as a part between separators: `db_password`, not `author`.
        self._key = re.compile(r"(?:^|_)(?:" + "|".join(map(re.escape, names)) + r")(?:$|_)")
        self._value = re.compile("|".join(f"(?:{pattern})" for pattern in _inline_flags(_VALUES)), re.DOTALL)
        self._more = [re.compile(pattern) for pattern in values]
        self._assignment = re.compile(_ASSIGNMENT)
        self._known: dict[str, bool] = {}

    def is_secret(self, key: str) -> bool:
        """Tell whether the value under *key* is secret because of its name."""
        known = self._known.get(key)
        if known is None:
            known = self._key.search(_plain(key)) is not None
            if len(self._known) < 4096:
                self._known[key] = known
        return known

    def hides(self, key: str, value: Any) -> bool:
        """Tell whether *value* under *key* must not be kept.

        Numbers under a key that speaks of tokens are counts (``max_token``), not secrets.
        """
        return self.is_secret(key) and not (type(value) in (int, float, bool) and "token" in key.lower())

    def text(self, text: str, limit: int = MAX_TEXT) -> str:
        """Return *text* without secrets, cut to *limit* characters."""
        # The cut comes first, so that a megabyte is not searched, and leaves room to see
        # a secret that begins before the limit as a whole.
        head = text[: limit + 256]
        head = self._value.sub(MARK, head)
        head = self._assignment.sub(_keep_key, head)
        head = _CARD.sub(_if_card, head)
        for pattern in self._more:
            head = pattern.sub(MARK, head)
        if len(text) > limit:
            return f"{head[:limit]}… ({len(text)} characters)"
        return head

    def value(self, value: Any, level: int = 0) -> Any:
        """Return a JSON value that tells what *value* is, bounded and without secrets.

        Only exact built-in types are looked into: no code of the program runs.
        """
        kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]  the program's own object
        if kind is str:
            return self.text(value)
        if value is None or kind is bool or kind is float:
            return value
        if kind is int:
            return value if -(2**63) <= value < 2**63 else f"<int of {value.bit_length()} bits>"
        if kind is bytes or kind is bytearray:
            return f"<{kind.__name__} of {len(value)}>"
        if level < MAX_LEVELS:
            if kind is dict:
                return self.mapping(value, level)
            if kind is list or kind is tuple:
                items = [self.value(item, level + 1) for item in value[:MAX_ITEMS]]
                return items if len(value) <= MAX_ITEMS else [*items, f"… {len(value) - MAX_ITEMS} more"]
        if kind in (dict, list, tuple, set, frozenset):
            return f"<{kind.__name__} of {len(value)}>"
        return f"<{kind.__module__}.{kind.__qualname__}>"

    def mapping(self, values: Mapping[Any, Any], level: int = 0) -> dict[str, Any]:
        """Return *values* as a JSON object, secret keys' values replaced."""
        result: dict[str, Any] = {}
        for key, value in list(values.items())[:MAX_ITEMS]:
            name = key if type(key) is str else str(self.value(key, MAX_LEVELS))
            result[self.text(name, 128)] = MARK if self.hides(name, value) else self.value(value, level + 1)
        if len(values) > MAX_ITEMS:
            result["…"] = f"{len(values) - MAX_ITEMS} more"
        return result

    def arguments(self, argv: Sequence[str]) -> list[str]:
        """Return command-line arguments without secrets: ``--token X`` and ``--token=X``."""
        result: list[str] = []
        secret_next = False
        for argument in argv:
            name, equals, _ = argument.partition("=")
            is_secret = argument.startswith("-") and self.is_secret(name.lstrip("-"))
            if secret_next and not argument.startswith("-"):
                result.append(MARK)
            elif is_secret and equals:
                result.append(f"{name}={MARK}")
            else:
                result.append(self.text(argument))
            secret_next = is_secret and not equals
        return result

    def url(self, url: str) -> str:
        """Return *url* without credentials and without secret query values."""
        base, question, query = url.partition("?")
        if question:
            parts = query.split("&")
            for i, part in enumerate(parts):
                name, equals, _ = part.partition("=")
                if equals and self.is_secret(name):
                    parts[i] = f"{name}={MARK}"
            query = "&".join(parts)
        return self.text(base + question + query)


def _plain(key: str) -> str:
    """Bring a key to one spelling: ``X-Api-Key``, ``apiKey`` and ``api_key`` are equal."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower())


def _inline_flags(patterns: Iterable[str]) -> list[str]:
    """Turn a leading ``(?i)`` into a group flag, so that patterns can be joined."""
    return [f"(?i:{pattern[4:]})" if pattern.startswith("(?i)") else pattern for pattern in patterns]


def _keep_key(match: re.Match[str]) -> str:
    return f"{match['key']}{match['between']}{MARK}"


def _if_card(match: re.Match[str]) -> str:
    """Replace digits that pass the Luhn check, as card numbers do."""
    digits = [int(digit) for digit in match[0] if digit.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return MARK if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else match[0]
