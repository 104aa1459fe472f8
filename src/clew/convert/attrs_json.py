"""Attributes of events from elsewhere as JSON: bounded, without secrets, quick.

What the probe records is redacted in the observed process. What other programs send is
redacted here, at the border, by the same rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from clew.probe.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ATTRS = 16 << 10
"""Longest JSON text of one event's attributes, in characters."""


class AttrsEncoder:
    """Writes attributes as JSON, bounded and without secrets."""

    def __init__(self) -> None:
        self.redactor = Redactor()
        self._known: dict[str, str] = {}
        self._harmless: set[str] = set()
        """Names of attributes that are not secret."""

    def encode(self, attrs: Mapping[str, Any]) -> str:
        """Return *attrs* as JSON text."""
        if len(attrs) > _PLAIN_ITEMS:
            return _json(self.redactor.mapping(attrs))
        result: dict[str, Any] = {}
        harmless = self._harmless
        for key, value in attrs.items():
            if key not in harmless and not self._learn(key):
                return _json(self.redactor.mapping(attrs))
            kind = cast("type[object]", type(value))
            if kind is str:
                # No rule for values fits a short word.
                result[key] = value if len(value) <= _SHORT and value.isalnum() else self._text(value)
            elif kind is bool or kind is float or (kind is int and -(2**63) <= value < 2**63):
                result[key] = value
            else:
                return _json(self.redactor.mapping(attrs))
        return _json(result)

    def _learn(self, key: str) -> bool:
        """Tell whether values under *key* may be kept; remember those that may."""
        if len(key) > _CACHED or self.redactor.is_secret(key) or self.redactor.text(key) != key:
            return False
        make_room(self._harmless, 1 << 12)
        self._harmless.add(key)
        return True

    def _text(self, text: str) -> str:
        known = self._known.get(text)
        if known is None:
            known = self.redactor.text(text)
            if len(text) <= _CACHED:
                make_room(self._known, 1 << 16)
                self._known[text] = known
        return known


_PLAIN_ITEMS = 32
_SHORT = 12
_CACHED = 128


def _json(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_ATTRS else msgspec.json.encode({"…": f"{len(text)} characters left out"}).decode()


def make_room(kept: dict[Any, Any] | set[Any], most: int) -> None:
    """Leave out the older quarter of what is kept if it has come to *most*."""
    if len(kept) >= most:
        for key in list(kept)[: most // 4]:
            if isinstance(kept, set):
                kept.discard(key)
            else:
                del kept[key]
