"""What a customer can read: statements, overviews and the sealed report of the day."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import httpx

SEAL_ROUNDS = 600_000
"""What OWASP recommends for PBKDF2 with SHA-256; a good tenth of a second."""


# -- statement: all card payments of a customer, in the bank's currency


async def statement(backoffice: httpx.AsyncClient, owner: str) -> float:
    """Return the sum of the customer's card payments."""
    entries = (await backoffice.get(f"/entries/{owner}")).raise_for_status().json()
    total = 0.0
    for entry in entries:
        response = await backoffice.get(f"/rates/{entry['currency']}")  # expect: n-plus-one/call
        total += entry["amount"] * response.raise_for_status().json()[entry["currency"]]
    return round(total, 2)


async def statement_batched(backoffice: httpx.AsyncClient, owner: str) -> float:
    """Return the sum of the customer's card payments."""
    entries = (await backoffice.get(f"/entries/{owner}")).raise_for_status().json()
    currencies = ",".join(sorted({entry["currency"] for entry in entries}))
    response = await backoffice.get("/rates", params={"of": currencies})  # expect: no n-plus-one/call
    rates = response.raise_for_status().json()
    return round(sum(entry["amount"] * rates[entry["currency"]] for entry in entries), 2)


# -- overview: all that the bank knows about a customer, on one page


async def overview(backoffice: httpx.AsyncClient, owner: str) -> dict[str, Any]:
    """Return the customer's payments, credit and securities."""
    entries = await backoffice.get(f"/entries/{owner}")  # expect: critical-path/first
    credit = await backoffice.get(f"/credit/{owner}")  # expect: critical-path/second
    valuation = await backoffice.get(f"/valuation/{owner}")  # expect: critical-path/slowest
    return _page(entries, credit, valuation)


async def overview_concurrent(backoffice: httpx.AsyncClient, owner: str) -> dict[str, Any]:
    """Return the customer's payments, credit and securities."""
    entries, credit, valuation = await asyncio.gather(  # expect: no critical-path/gather
        backoffice.get(f"/entries/{owner}"),
        backoffice.get(f"/credit/{owner}"),
        backoffice.get(f"/valuation/{owner}"),
    )
    return _page(entries, credit, valuation)


def _page(entries: httpx.Response, credit: httpx.Response, valuation: httpx.Response) -> dict[str, Any]:
    payments = entries.raise_for_status().json()
    return {
        "payments": len(payments),
        "credit": credit.raise_for_status().json(),
        "securities": valuation.raise_for_status().json()["value"],
    }


# -- report: the balances of the day, sealed so that nobody can change them afterwards


def sealed(balances: Mapping[str, int]) -> dict[str, Any]:
    """Return the balances with a seal that only the branch can have made."""
    text = "\n".join(f"{owner} {balance}" for owner, balance in sorted(balances.items()))
    seal = hashlib.pbkdf2_hmac("sha256", b"branch 12", text.encode(), SEAL_ROUNDS)  # expect: blocked-loop/blocks
    return {"balances": dict(balances), "seal": seal.hex()}
