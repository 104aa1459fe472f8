"""How the bank's programs call one another."""

from __future__ import annotations

import httpx


def client(url: str, *, timeout: float = 10) -> httpx.AsyncClient:
    """Return a client for the service at *url*; never through a proxy, all of them are on this machine."""
    return httpx.AsyncClient(base_url=url, timeout=timeout, trust_env=False)
