"""HTTP clients: a request on the wire is a span of kind client with effect ``http``.

httpx and httpx2 at their transports, aiohttp where it takes a connection, sends and
reads the head of the response, urllib3 (under requests and boto3) where it makes one
attempt, and the standard library's ``http.client`` (under ``urllib.request``) for what
none of them sent. So each retry and each redirect is a span of its own, and mock
transports are left alone, because nothing goes over the wire.

A span ends when the head of the response is there; ``wait_ns`` of its end is the time to
that. The body stays the program's own.
"""

from __future__ import annotations

from importlib import import_module

from clew.probe.seams import _http_call, _http_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from clew.probe.session import Session

_HOOKS = {
    "httpx": ("_http_httpx", "hook"),
    "httpx2": ("_http_httpx", "hook"),
    "aiohttp.connector": ("_http_aiohttp_client", "hook_connector"),
    "aiohttp.client_reqrep": ("_http_aiohttp_client", "hook_request"),
    "urllib3.connectionpool": ("_http_urllib", "hook_urllib3"),
    "http.client": ("_http_urllib", "hook_http_client"),
}


def install(module: ModuleType, session: Session) -> None:
    """Hook *module*, one of those that ``_registry.SEAMS`` names."""
    _http_values.configure(session)
    _http_call.configure(session)
    name, function = _HOOKS[module.__name__]
    hooking = import_module(f"clew.probe.seams.{name}")
    getattr(hooking, function)(module)
