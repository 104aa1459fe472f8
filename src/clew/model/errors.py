"""The one error shape: what was found, what was expected, what to do, and a slug.

Every slug has its heading in ``docs/messages.md``.
"""

from __future__ import annotations


class ClewError(Exception):
    """A problem a user can act on.

    Args:
        slug: Stable name of the message, listed in ``docs/messages.md``.
        found: What was found, with the value and the place.
        expected: What was expected instead.
        remedy: What to do about it.
    """

    def __init__(self, slug: str, found: str, expected: str, remedy: str) -> None:
        self.slug = slug
        self.found = found
        self.expected = expected
        self.remedy = remedy
        super().__init__(f"{found}; {expected}; {remedy} [{slug}]")


class FormatError(ClewError):
    """A recording, or a part of one, cannot be read.

    Args:
        offset: Byte offset in the stream file at which the problem stands.
    """

    def __init__(self, slug: str, found: str, expected: str, remedy: str, *, offset: int) -> None:
        self.offset = offset
        super().__init__(slug, f"byte {offset}: {found}", expected, remedy)


class ConfigError(ClewError):
    """A setting from a flag, the environment or pyproject.toml has no meaning."""


class UsageError(ClewError):
    """A command was asked for something it cannot do."""
