"""Whatever goes wrong becomes the one error shape."""

from __future__ import annotations

import errno
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import sqlalchemy.exc
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from clew.model.errors import ClewError
from clew.server import page
from clew.server.errors import HttpError
from clew.server.logs import log
from clew.store.errors import StoreBusyError, StoreUnavailableError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

REQUEST_ID = "clew.request_id"
"""Key in the scope."""
_SEE = "see /api/v1/openapi.json"
STATUS_OF = {
    "no-run": 404,
    "artifact-missing": 404,
    "artifact-size": 413,
    "under-hold": 409,
    "store-busy": 429,
    "store-closed": 503,
    "store-unavailable": 503,
}
"""Of errors that lower layers raise; 400 for all others."""


class Problem(BaseModel):
    """What went wrong."""

    code: str
    message: str
    details: dict[str, Any]
    retryable: str


class Failure(BaseModel):
    """The answer to a request that failed."""

    error: Problem
    request_id: str


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Failure, "description": "The request cannot be answered as it was asked"},
    "5XX": {"model": Failure, "description": "The server cannot answer now"},
}
"""For the OpenAPI document: of every route."""


def answer(error: ClewError, request_id: str) -> JSONResponse:
    """Return the answer that tells *error*."""
    status, retry_after_s, _ = _terms(error)
    headers = dict(error.headers) if isinstance(error, HttpError) else {}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
        # The rest of the body may still come: nobody is going to read it.
        headers["Connection"] = "close"
    return JSONResponse(document(error, request_id), status, headers)


def document(error: ClewError, request_id: str) -> dict[str, Any]:
    """Return the body of the answer that tells *error*."""
    _, retry_after_s, details = _terms(error)
    return {
        "error": {
            "code": error.slug,
            "message": f"{error.found}; {error.expected}; {error.remedy}",
            "details": details,
            "retryable": "no" if retry_after_s is None else "yes",
        },
        "request_id": request_id,
    }


def _terms(error: ClewError) -> tuple[int, int | None, dict[str, Any]]:
    """Return the status of *error*, after how many seconds to ask again, and details."""
    if isinstance(error, HttpError):
        return error.status, error.retry_after_s, error.details
    if isinstance(error, StoreBusyError | StoreUnavailableError):
        return STATUS_OF[error.slug], error.retry_after_s, {}
    offset = getattr(error, "offset", None)
    return STATUS_OF.get(error.slug, 400), None, {} if offset is None else {"offset": offset}


def translate(error: Exception) -> ClewError | None:
    """Return *error* as one that a client can act on; None: it is a mistake of ours."""
    if isinstance(error, ClewError):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        cause = error.__cause__
        if isinstance(cause, ClewError):  # raised while FastAPI read a body
            return cause
        return _refused(error)
    if isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError | sqlalchemy.exc.TimeoutError):
        # The statement and its values stay out of the answer.
        problem = getattr(error, "orig", None) or "no connection was free in time"
        return StoreUnavailableError("the catalog", str(problem).strip().splitlines()[0])
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):
        return StoreUnavailableError("the store", error.strerror or str(error))
    return None


async def handle(request: Request, error: Exception) -> Response:  # a plain function would cost a thread
    """Answer a request that raised *error*; the traceback of a mistake of ours goes to the log only."""
    request_id: str = request.scope.get(REQUEST_ID, "")
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        route: str = getattr(request.scope.get("route"), "path", "")
        if route == page.ROUTE and request.scope["path"].startswith(page.NOT_PAGES):
            error = HTTPException(HTTPStatus.NOT_FOUND)  # only the page's own route took this path, for reading
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # nobody is there to read it
    problem = translate(error)
    if problem is None:
        log(logging.ERROR, "a request failed", request_id=request_id, path=request.scope["path"], error=error)
        problem = unexpected(request_id)
    return answer(problem, request_id)


def unexpected(request_id: str) -> HttpError:
    """Return the error of a mistake of ours."""
    return HttpError(
        "internal",
        "the server made a mistake in answering this request",
        "expected an answer",
        f"look for request {request_id} in its log, and please report what stands there",
        status=500,
    )


def install(app: FastAPI) -> None:
    """Let every error of *app* become the one shape."""
    for kind in (
        ClewError,
        RequestValidationError,
        HTTPException,
        ClientDisconnect,
        sqlalchemy.exc.SQLAlchemyError,
        OSError,
    ):
        app.add_exception_handler(kind, handle)


def _invalid(error: RequestValidationError) -> HttpError:
    problems = [
        {"where": ".".join(map(str, problem["loc"])), "problem": problem["msg"]} for problem in error.errors()[:20]
    ]
    first = problems[0] if problems else {"where": "the request", "problem": "it cannot be read"}
    return HttpError(
        "parameter",
        f"{first['where']} is not as it should be: {first['problem']}",
        "expected what /api/v1/openapi.json says of this route",
        "correct the request",
        status=422,
        details={"problems": problems},
    )


def _refused(error: HTTPException) -> HttpError:
    """Turn what Starlette and FastAPI raise by themselves."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        return HttpError("not-found", "there is no such route", "expected one of this server's", _SEE, status=404)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another one")
        headers = {"Allow": allowed}
        return HttpError(
            "method", "the route has no such method", f"expected {allowed}", _SEE, status=405, headers=headers
        )
    return HttpError("request", str(error.detail), "expected what the route describes", _SEE, status=error.status_code)
