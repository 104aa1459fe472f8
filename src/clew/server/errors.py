"""Errors that become an answer: the one error shape, with a status of HTTP."""

from __future__ import annotations

from typing import Any

from clew.model.errors import ClewError


class HttpError(ClewError):
    """A request that cannot be answered as it was asked.

    Args:
        slug: The ``code`` of the answer, listed in ``docs/messages.md``.
        found: What was found, with the value and the place.
        expected: What was expected instead.
        remedy: What to do about it.
        status: Of HTTP.
        details: For programs.
        headers: Further headers of the answer.
        retry_after_s: Seconds after which the same request may go through; None: it will not.
    """

    def __init__(
        self,
        slug: str,
        found: str,
        expected: str,
        remedy: str,
        *,
        status: int,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        self.status = status
        self.details = details or {}
        self.headers = headers or {}
        self.retry_after_s = retry_after_s
        super().__init__(slug, found, expected, remedy)


def no_run(run: str) -> HttpError:
    """Return the error of an id of a run that nothing is stored of."""
    return HttpError(
        "run-missing",
        f"there is no run {run}",
        "expected the id of a run that is stored",
        "GET /api/v1/runs lists them; it may have been deleted, or not be indexed yet",
        status=404,
    )
