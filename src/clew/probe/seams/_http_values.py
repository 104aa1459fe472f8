"""What is kept of paths, URLs and headers: without secrets, and remembered, since they recur."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from clew.probe.redact import Redactor
    from clew.probe.session import Session

MAX_REMEMBERED = 1024
"""Texts whose redacted form is remembered: it takes 10 µs to find."""
MAX_LENGTH = 256
"""Longest of them, in characters."""

_texts: dict[str, str] = {}
_redactor: Redactor | None = None
_headers: frozenset[str] = frozenset()


def configure(session: Session) -> None:
    """Take over the settings of *session*."""
    global _redactor, _headers
    _redactor = session.redactor
    _headers = frozenset(name.lower() for name in session.config.headers)
    _texts.clear()


def redacted(text: str) -> str:
    """Return *text*, a path or a URL, without its secrets."""
    known = _texts.get(text)
    if known is None:
        known = _redactor.url(text) if _redactor is not None else ""
        if len(text) <= MAX_LENGTH:
            if len(_texts) >= MAX_REMEMBERED:
                _texts.clear()
            _texts[text] = known
    return known


def records_headers() -> bool:
    """Tell whether the setting ``headers`` names any."""
    return bool(_headers)


def named_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the headers that the setting ``headers`` names, redacted."""
    if _redactor is None:
        return {}
    return _redactor.mapping({name.lower(): value for name, value in pairs if name.lower() in _headers})
