"""Payments that leave the bank: they go through the clearing house, which is not always there."""

from __future__ import annotations

import asyncio

import httpx

from bank.service import seeded

BUSY = 503
ATTEMPTS = 200
PATIENT_ATTEMPTS = 7


class NotClearedError(Exception):
    """The clearing house did not take the payment."""


async def pay_out(backoffice: httpx.AsyncClient, reference: str) -> int:
    """Clear a payment; return how many attempts it took."""
    for attempt in range(1, ATTEMPTS + 1):
        response = await backoffice.post("/clearing", json={"reference": reference})  # expect: retry-storm/call
        if response.status_code != BUSY:
            response.raise_for_status()
            return attempt
    raise NotClearedError(reference)


async def pay_out_patiently(backoffice: httpx.AsyncClient, reference: str) -> int:
    """Clear a payment, waiting twice as long after every attempt; return how many it took."""
    jitter = seeded("jitter", reference)
    for attempt in range(1, PATIENT_ATTEMPTS + 1):
        response = await backoffice.post("/clearing", json={"reference": reference})  # expect: no retry-storm/call
        if response.status_code != BUSY:
            response.raise_for_status()
            return attempt
        await asyncio.sleep(0.025 * 2**attempt * jitter.uniform(0.8, 1.2))
    raise NotClearedError(reference)
