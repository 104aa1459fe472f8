"""Texts by number, for columns that name things: each different text once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from clew.analysis.columns import Numbers


class Texts:
    """Texts by number; 0 is the empty one."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    @property
    def texts(self) -> list[str]:
        """All texts, by number."""
        return list(self._numbers)

    def number(self, text: str) -> int:
        """Return the number of *text*."""
        return self._numbers.setdefault(text, len(self._numbers))

    def numbers(self, text_of: Callable[..., str], *keys: NDArray[Any]) -> Numbers:
        """Return for each place the number of the text for the keys that stand there.

        Args:
            text_of: Called once for each different combination of keys.
            keys: One or more arrays of numbers, none negative, side by side.
        """
        count = len(keys[0])
        if not count:
            return np.empty(0, np.int64)
        codes, different = np.zeros(count, np.int64), 1
        for key in keys:
            place, found = _places(key)
            codes, different = _places(codes * found + place)
        example = np.empty(different, np.int64)
        example[codes] = np.arange(count)
        columns = [key[example].tolist() for key in keys]
        texts = [self.number(text_of(*values)) for values in zip(*columns, strict=True)]
        return np.array(texts, np.int64)[codes]


def _places(values: NDArray[Any]) -> tuple[Numbers, int]:
    """Return for each place where its value stands among the different ones, and how many those are."""
    greatest = int(values.max())
    if greatest >= 4 * len(values) + 65_536:
        found, inverse = np.unique(values, return_inverse=True)
        return inverse.reshape(-1), len(found)
    is_there = np.zeros(greatest + 1, bool)
    is_there[values] = True
    places = np.cumsum(is_there) - 1
    return places[values], int(places[-1]) + 1
