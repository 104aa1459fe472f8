"""The bank's own service: transfers, statements, payouts, receipts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bank import payouts, statements
from bank.accounts import Bank, InsufficientFundsError
from bank.clients import client
from bank.receipts import Receipts
from bank.service import serve

BACKOFFICE_URL = os.environ.get("BACKOFFICE_URL", "http://127.0.0.1:7002")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Open the bank for as long as the service runs."""
    async with client(BACKOFFICE_URL) as backoffice:

        async def audit(payer: str, payee: str, amount: int) -> None:
            payment = {"payer": payer, "payee": payee, "amount": amount}
            (await backoffice.post("/audit", json=payment)).raise_for_status()

        app.state.backoffice = backoffice
        app.state.bank = Bank(audit)
        app.state.receipts = Receipts()
        yield


async def payment(request: Request) -> tuple[str, str, int]:
    """Return who pays whom, and how much."""
    body = await request.json()
    payer, payee, amount = body["payer"], body["payee"], body["amount"]
    if payer == payee or amount <= 0:
        raise HTTPException(400, "expected two customers and an amount above 0")
    return payer, payee, amount


def balances(request: Request) -> Response:
    """Answer with what everyone owns."""
    return JSONResponse(request.app.state.bank.balances())


# -- accounts


async def accounts(request: Request) -> Response:
    """What everyone owns."""
    return balances(request)


async def account(request: Request) -> Response:
    """What one customer owns."""
    found = request.app.state.bank.accounts[request.path_params["owner"]]
    return JSONResponse({"owner": found.owner, "balance": found.balance})


async def open_day(request: Request) -> Response:
    """Open the business day: everyone has the opening balance, no receipt is sent."""
    request.app.state.bank.open()
    request.app.state.receipts = Receipts()
    return balances(request)


async def transfer(request: Request) -> Response:
    """Move money between customers."""
    await request.app.state.bank.transfer(*await payment(request))
    return balances(request)


async def transfer_safe(request: Request) -> Response:
    """Move money between customers, one payment of an account at a time."""
    await request.app.state.bank.transfer_locked(*await payment(request))
    return balances(request)


async def transfer_checked(request: Request) -> Response:
    """Move money between customers, checking the balance again at the end."""
    await request.app.state.bank.transfer_checked(*await payment(request))
    return balances(request)


async def settle(request: Request) -> Response:
    """Pay a debt."""
    await request.app.state.bank.settle(*await payment(request))
    return balances(request)


async def refund(request: Request) -> Response:
    """Give a payment back."""
    await request.app.state.bank.refund(*await payment(request))
    return balances(request)


async def settle_safe(request: Request) -> Response:
    """Pay a debt; locks are taken in one order."""
    await request.app.state.bank.settle_ordered(*await payment(request))
    return balances(request)


async def refund_safe(request: Request) -> Response:
    """Give a payment back; locks are taken in one order."""
    await request.app.state.bank.refund_ordered(*await payment(request))
    return balances(request)


# -- statements and reports


async def report(request: Request) -> Response:
    """Give out the sealed report of the day."""
    return JSONResponse(statements.sealed(request.app.state.bank.balances()))  # expect: blocked-loop/call


async def report_threaded(request: Request) -> Response:
    """Give out the sealed report of the day, made in a thread of its own."""
    result = await asyncio.to_thread(  # expect: no blocked-loop/call
        statements.sealed, request.app.state.bank.balances()
    )
    return JSONResponse(result)


async def statement(request: Request) -> Response:
    """Sum up the card payments of a customer."""
    total = await statements.statement(request.app.state.backoffice, request.path_params["owner"])
    return JSONResponse({"total": total})


async def statement_batched(request: Request) -> Response:
    """Sum up the card payments of a customer, with one question about rates."""
    total = await statements.statement_batched(request.app.state.backoffice, request.path_params["owner"])
    return JSONResponse({"total": total})


async def overview(request: Request) -> Response:
    """Show all about a customer."""
    return JSONResponse(await statements.overview(request.app.state.backoffice, request.path_params["owner"]))


async def overview_concurrent(request: Request) -> Response:
    """Show all about a customer, asking for everything at once."""
    result = await statements.overview_concurrent(request.app.state.backoffice, request.path_params["owner"])
    return JSONResponse(result)


# -- payouts and receipts


async def payout(request: Request) -> Response:
    """Pay money out of the bank."""
    attempts = await payouts.pay_out(request.app.state.backoffice, request.path_params["reference"])
    return JSONResponse({"attempts": attempts})


async def payout_patient(request: Request) -> Response:
    """Pay money out of the bank, sparing the clearing house."""
    attempts = await payouts.pay_out_patiently(request.app.state.backoffice, request.path_params["reference"])
    return JSONResponse({"attempts": attempts})


async def receipt(request: Request) -> Response:
    """Promise a receipt."""
    request.app.state.receipts.post(request.path_params["owner"])
    return JSONResponse({"promised": True}, 202)


async def receipt_checked(request: Request) -> Response:
    """Promise a receipt, and know when it could not be sent."""
    request.app.state.receipts.post_checked(request.path_params["owner"])
    return JSONResponse({"promised": True}, 202)


async def receipts(request: Request) -> Response:
    """Tell which receipts were sent, and which could not be."""
    found: Receipts = request.app.state.receipts
    return JSONResponse({"sent": sorted(found.sent), "failed": found.failed, "on_the_way": len(found.running)})


async def health(_: Request) -> Response:
    """Say that the service is there."""
    return JSONResponse({"status": "up"})


async def insufficient_funds(_: Request, error: Exception) -> Response:
    """Answer 409 when a payer has too little."""
    return JSONResponse({"error": str(error)}, 409)


def _routes() -> list[Route]:
    posts: dict[str, Any] = {
        "/open": open_day,
        "/transfer": transfer,
        "/transfer/safe": transfer_safe,
        "/transfer/checked": transfer_checked,
        "/settle": settle,
        "/settle/safe": settle_safe,
        "/refund": refund,
        "/refund/safe": refund_safe,
        "/payout/{reference}": payout,
        "/payout/{reference}/patient": payout_patient,
        "/receipt/{owner}": receipt,
        "/receipt/{owner}/checked": receipt_checked,
    }
    gets: dict[str, Any] = {
        "/accounts": accounts,
        "/accounts/{owner}": account,
        "/report": report,
        "/report/threaded": report_threaded,
        "/statement/{owner}": statement,
        "/statement/{owner}/batched": statement_batched,
        "/overview/{owner}": overview,
        "/overview/{owner}/concurrent": overview_concurrent,
        "/receipts": receipts,
        "/health": health,
    }
    return [Route(path, endpoint, methods=["POST"]) for path, endpoint in posts.items()] + [
        Route(path, endpoint) for path, endpoint in gets.items()
    ]


app = Starlette(
    routes=_routes(),
    lifespan=lifespan,
    exception_handlers={InsufficientFundsError: insufficient_funds},
)

if __name__ == "__main__":
    serve(app)
