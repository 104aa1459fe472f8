"""What the server logs: one JSON object a line on stderr, through the standard library's logging."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

LOGGER = logging.getLogger("clew.server")
ACCESS = logging.getLogger("clew.server.access")
FIELDS = "clew_fields"
"""Attribute of a record that holds further members of its object."""


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, separators=(",", ":"))


def configure(level: str) -> None:
    """Send what the server and uvicorn log to stderr; done by ``clew serve``, not by the application."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("clew", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = True  # the application logs requests itself, with more in it
    # "Started server process", "Waiting for application startup": the command says what matters.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger("clew").level))


def log(
    level: int,
    message: str,
    *,
    logger: logging.Logger = LOGGER,
    error: BaseException | None = None,
    **members: Any,
) -> None:
    """Log *message*, the traceback of *error* and further *members* of its object."""
    if logger.isEnabledFor(level):
        logger.log(level, message, extra={FIELDS: members}, exc_info=error)
