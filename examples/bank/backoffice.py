"""The back office: ledger, rates, credit scores, clearing and policy documents, in a process of its own."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bank.service import latency, seeded, serve

RATES = {"CHF": 1.04, "EUR": 1.0, "GBP": 1.17, "JPY": 0.0061, "NOK": 0.085, "SEK": 0.088, "USD": 0.92}

# Per month.
CREDIT = {
    "alice": {"income": 4200, "debts": 600},
    "bob": {"income": 3000, "debts": 750},
    "charlie": {"income": 2600, "debts": 900},
}

SECOND_SIGNATURE = 150
"""From this amount on, a second person signs a payment."""

POLICIES: list[dict[str, str]] = json.loads(Path(__file__).with_name("policies.json").read_text())

_ledger: list[dict[str, Any]] = []
_first_seen: dict[str, float] = {}


async def audit(request: Request) -> Response:
    """Write a payment into the ledger."""
    payment = await request.json()
    await latency(36, 42, "audit", payment["payer"], payment["payee"])
    if payment["amount"] >= SECOND_SIGNATURE:
        await latency(36, 42, "signature", payment["payer"], payment["payee"])
    _ledger.append(payment)
    return JSONResponse({"entry": len(_ledger)}, 201)


async def entries(request: Request) -> Response:
    """Return the card payments of a customer."""
    owner = request.path_params["owner"]
    await latency(20, 30, "entries", owner)
    source = seeded("entries", owner)
    currencies = sorted(RATES)
    return JSONResponse(
        [{"currency": source.choice(currencies), "amount": source.randint(5, 90)} for _ in range(12)],
    )


async def rate(request: Request) -> Response:
    """Return the rate of one currency."""
    currency = request.path_params["currency"]
    await latency(6, 10, "rate", currency)
    return JSONResponse({currency: RATES[currency]})


async def rates(request: Request) -> Response:
    """Return the rates of several currencies: ``?of=EUR,USD``."""
    wanted = request.query_params["of"].split(",")
    await latency(8, 12, "rates")
    return JSONResponse({currency: RATES[currency] for currency in wanted})


async def valuation(request: Request) -> Response:
    """Return what a customer's securities are worth; the exchange is asked for every one of them."""
    owner = request.path_params["owner"]
    await latency(160, 200, "valuation", owner)  # expect: critical-path/dependency
    return JSONResponse({"value": seeded("value", owner).randint(1_000, 9_000)})


async def credit(request: Request) -> Response:
    """Return what the credit agency knows about a customer."""
    owner = request.path_params["owner"]
    await latency(30, 50, "credit", owner)
    return JSONResponse(CREDIT[owner])


async def clearing(request: Request) -> Response:
    """Clear a payment. The clearing house answers 503 for a moment when it first hears of one."""
    reference = (await request.json())["reference"]
    outage = seeded("outage", reference).uniform(0.16, 0.26)
    first = _first_seen.setdefault(reference, time.monotonic())
    if time.monotonic() - first < outage:
        return JSONResponse({"error": "busy"}, 503)
    return JSONResponse({"cleared": reference})


async def search_policies(request: Request) -> Response:
    """Return the policy that has most words in common with ``?query=``."""
    await latency(10, 20, "policies", request.query_params["query"])
    found = _ranked(POLICIES, request.query_params["query"])  # expect: wrong-approval/retrieval
    return JSONResponse(found[:1])


async def search_current_policies(request: Request) -> Response:
    """Return the policy in force that has most words in common with ``?query=``."""
    await latency(10, 20, "policies", request.query_params["query"])
    in_force = [policy for policy in POLICIES if not policy["superseded_by"]]
    found = _ranked(in_force, request.query_params["query"])  # expect: no wrong-approval/retrieval-current
    return JSONResponse(found[:1])


def _ranked(policies: list[dict[str, str]], query: str) -> list[dict[str, str]]:
    wanted = _words(query)
    return sorted(policies, key=lambda policy: len(wanted & _words(policy["text"])), reverse=True)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w-]+", text.lower()))


app = Starlette(
    routes=[
        Route("/audit", audit, methods=["POST"]),
        Route("/entries/{owner}", entries),
        Route("/rates/{currency}", rate),
        Route("/rates", rates),
        Route("/valuation/{owner}", valuation),
        Route("/credit/{owner}", credit),
        Route("/clearing", clearing, methods=["POST"]),
        Route("/policies", search_policies),
        Route("/policies/current", search_current_policies),
    ]
)

if __name__ == "__main__":
    serve(app)
