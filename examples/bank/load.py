"""The bank's customers: scenarios that ask the services for something and say what came of it."""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import httpx

from bank import processes
from bank.accounts import OPENING
from bank.agent import Application, LoanAgent
from bank.clients import client

TOTAL = sum(OPENING.values())
PAID = {"alice": 700, "bob": 600, "charlie": 500}
"""Who has what once alice has paid bob 100 and charlie 200."""
PATIENCE_SECONDS = 10
ASKED_AT_MOST = 200
IN_FLIGHT = 32
"""Requests of the traffic scenario under way at a time."""


@dataclass(frozen=True)
class Seen:
    """One thing a customer saw."""

    subject: str
    text: str
    fine: bool


@dataclass(frozen=True)
class Branch:
    """Where the customers stand: connections to all services, and how busy the day is."""

    bank: httpx.AsyncClient
    backoffice: httpx.AsyncClient
    model: httpx.AsyncClient
    seconds: float
    rate: float
    seed: int

    async def get(self, path: str) -> Any:
        """Ask the bank for something."""
        response = await self.bank.get(path)
        response.raise_for_status()
        return response.json()

    async def post(self, path: str, payer: str = "", payee: str = "", amount: int = 0) -> Any:
        """Ask the bank to do something."""
        response = await self.bank.post(path, json={"payer": payer, "payee": payee, "amount": amount})
        response.raise_for_status()
        return response.json()


async def together(**calls: Coroutine[Any, Any, Any]) -> dict[str, Any]:
    """Make several calls at once, each in a task of that name; return the answers by name."""
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(call, name=name) for name, call in calls.items()}
    return {name: task.result() for name, task in tasks.items()}


async def timed(call: Awaitable[Any]) -> tuple[float, Any]:
    """Return how many milliseconds a call took, and its answer."""
    started = time.perf_counter()
    answer = await call
    return (time.perf_counter() - started) * 1000, answer


# -- scenarios


async def transfers(branch: Branch) -> Iterable[Seen]:
    """Alice pays bob 100 and charlie 200 at the same time, in each of three ways."""
    seen: list[Seen] = []
    for path in ("/transfer", "/transfer/safe", "/transfer/checked"):
        await branch.post("/open")
        await together(
            alice_pays_bob=branch.post(path, "alice", "bob", 100),
            alice_pays_charlie=branch.post(path, "alice", "charlie", 200),
        )
        balances = await branch.get("/accounts")
        total = sum(balances.values())
        text = ", ".join(f"{owner} {balance}" for owner, balance in balances.items()) + f": {total} of {TOTAL}"
        seen.append(Seen(f"POST {path}", text, fine=balances == PAID))
    return seen


async def settlements(branch: Branch) -> Iterable[Seen]:
    """A debt is paid and then given back; then both at once, with locks in one order."""
    await branch.post("/open")
    await branch.post("/settle", "alice", "bob", 100)
    after = await branch.post("/refund", "alice", "bob", 100)
    one_by_one = Seen("POST /settle, /refund", "one after the other: both answered", fine=after == OPENING)
    await together(
        settle=branch.post("/settle/safe", "alice", "bob", 100),
        refund=branch.post("/refund/safe", "alice", "bob", 100),
    )
    after = await branch.get("/accounts")
    return [one_by_one, Seen("POST /settle/safe, /refund/safe", "at once: both answered", fine=after == OPENING)]


async def deadlock(branch: Branch) -> Iterable[Seen]:
    """A debt is paid and given back at the same time; the customers wait ``--seconds``, then leave."""

    async def patiently(path: str) -> bool:
        try:
            async with asyncio.timeout(branch.seconds):
                await branch.post(path, "alice", "bob", 200)
        except TimeoutError:
            return False
        return True

    await branch.post("/open")
    answered = await together(settle=patiently("/settle"), refund=patiently("/refund"))
    count = sum(answered.values())
    text = f"at once: {count} of 2 answered within {branch.seconds:g} s"
    return [Seen("POST /settle, /refund", text, fine=count == 2)]


async def reports(branch: Branch) -> Iterable[Seen]:
    """While the report of the day is made, somebody else keeps asking whether the bank is there."""
    seen: list[Seen] = []
    for path in ("/report", "/report/threaded"):
        making = asyncio.create_task(branch.get(path), name=path)
        slowest = 0.0
        while not making.done():
            took, _ = await timed(branch.get("/health"))
            slowest = max(slowest, took)
            await asyncio.sleep(0.01)
        await making
        text = f"meanwhile GET /health took up to {slowest:.0f} ms"
        seen.append(Seen(f"GET {path}", text, fine=slowest < 60))
    return seen


async def statements(branch: Branch) -> Iterable[Seen]:
    """Alice wants to know what she spent by card."""
    slow, answer = await timed(branch.get("/statement/alice"))
    quick, same = await timed(branch.get("/statement/alice/batched"))
    return [
        Seen("GET /statement/alice", f"{slow:.0f} ms", fine=slow < 1.5 * quick),
        Seen("GET /statement/alice/batched", f"{quick:.0f} ms", fine=answer == same),
    ]


async def overviews(branch: Branch) -> Iterable[Seen]:
    """Bob wants to see all that he has."""
    slow, answer = await timed(branch.get("/overview/bob"))
    quick, same = await timed(branch.get("/overview/bob/concurrent"))
    return [
        Seen("GET /overview/bob", f"{slow:.0f} ms", fine=slow < 1.2 * quick),
        Seen("GET /overview/bob/concurrent", f"{quick:.0f} ms", fine=answer == same),
    ]


async def payouts(branch: Branch) -> Iterable[Seen]:
    """Four payments leave the bank while the clearing house is busy."""
    seen: list[Seen] = []
    for kind, path in (("rent", "/payout/{}"), ("salary", "/payout/{}/patient")):
        references = [f"{kind}-{number}" for number in range(1, 5)]
        answers = await together(
            **{reference: branch.post(path.format(reference)) for reference in references},
        )
        attempts = sum(answer["attempts"] for answer in answers.values())
        text = f"4 payments, {attempts} calls to the clearing house"
        seen.append(Seen(f"POST {path.format('…')}", text, fine=attempts <= 20))
    return seen


async def receipts(branch: Branch) -> Iterable[Seen]:
    """Everyone is promised a receipt."""
    seen: list[Seen] = []
    for path in ("/receipt/{}", "/receipt/{}/checked"):
        await branch.post("/open")
        for owner in OPENING:
            await branch.post(path.format(owner))
        state: dict[str, Any] = {}
        for _ in range(ASKED_AT_MOST):
            state = await branch.get("/receipts")
            if not state["on_the_way"]:
                break
            await asyncio.sleep(0.01)
        sent, failed = len(state["sent"]), len(state["failed"])
        text = f"{len(OPENING)} promised, {sent} sent, {failed} known to have failed"
        seen.append(Seen(f"POST {path.format('…')}", text, fine=sent + failed == len(OPENING)))
    return seen


APPLICATIONS = {
    "alice_5000": Application("alice", 5_000, "salaried"),
    "bob_12000": Application("bob", 12_000, "self-employed"),
    "bob_2400": Application("bob", 2_400, "self-employed"),
    "charlie_9000": Application("charlie", 9_000, "salaried"),
}
BY_THE_BOOK = {"alice_5000": True, "bob_12000": False, "bob_2400": True, "charlie_9000": False}
"""What the policies in force say."""


async def loans(branch: Branch) -> Iterable[Seen]:
    """Four loans are decided by each of two agents, all at once."""
    await branch.post("/open")
    agent = LoanAgent(branch.bank, branch.backoffice, branch.model)
    careful = LoanAgent(branch.bank, branch.backoffice, branch.model, policies="/policies/current")
    decisions = await together(
        **{name: agent.decide(wanted) for name, wanted in APPLICATIONS.items()},
        **{f"{name}_current": careful.decide(wanted) for name, wanted in APPLICATIONS.items()},
    )
    seen: list[Seen] = []
    for name, decision in decisions.items():
        verdict = "approved" if decision.approved else "declined"
        text = f"{verdict}: {decision.reason} ({decision.policy})"
        fine = decision.approved == BY_THE_BOOK[name.removesuffix("_current")]
        seen.append(Seen(f"loan {name}", text, fine=fine))
    return seen


async def traffic(branch: Branch) -> Iterable[Seen]:
    """An ordinary day: mostly reading, some payments, ``--rate`` requests a second for ``--seconds``."""
    await branch.post("/open")
    source = random.Random(branch.seed)
    room = asyncio.Semaphore(IN_FLIGHT)

    async def customer() -> float:
        payer, payee = source.sample(sorted(OPENING), 2)
        action = source.choices(
            ["/accounts", f"/accounts/{payer}", "/transfer/safe", "/settle/safe"], weights=[5, 5, 2, 1]
        )[0]
        async with room:
            if action.endswith("/safe"):
                call = branch.bank.post(action, json={"payer": payer, "payee": payee, "amount": source.randint(1, 9)})
            else:
                call = branch.bank.get(action)
            took, response = await timed(call)
        if response.status_code != 409:
            response.raise_for_status()
        return took

    count = round(branch.seconds * branch.rate)
    async with asyncio.TaskGroup() as group:
        started = time.perf_counter()
        tasks: list[asyncio.Task[float]] = []
        for number in range(count):
            tasks.append(group.create_task(customer(), name=f"customer-{number}"))
            await asyncio.sleep(max(0, started + (number + 1) / branch.rate - time.perf_counter()))
    slowest = max((task.result() for task in tasks), default=0.0)
    total = sum((await branch.get("/accounts")).values())
    text = f"{count} requests, the slowest took {slowest:.0f} ms; {total} of {TOTAL}"
    return [Seen("traffic", text, fine=total == TOTAL)]


SCENARIOS: dict[str, Callable[[Branch], Awaitable[Iterable[Seen]]]] = {
    "transfers": transfers,
    "reports": reports,
    "statements": statements,
    "overviews": overviews,
    "payouts": payouts,
    "receipts": receipts,
    "loans": loans,
    "traffic": traffic,
    "settlements": settlements,
    "deadlock": deadlock,
}


# -- running them


async def play(names: list[str], services: dict[str, processes.Service], options: argparse.Namespace) -> None:
    """Play the named scenarios, printing what the customers see."""
    verdicts: list[bool] = []
    async with (
        client(services["app"].url, timeout=options.seconds + PATIENCE_SECONDS) as bank,
        client(services["backoffice"].url) as backoffice,
        client(services["model_server"].url) as model,
    ):
        branch = Branch(bank, backoffice, model, options.seconds, options.rate, options.seed)
        for name in names:
            for seen in await SCENARIOS[name](branch):
                verdicts.append(seen.fine)
                print(f"{'ok   ' if seen.fine else 'WRONG'}  {seen.subject:<32} {seen.text}", flush=True)
    print(f"{verdicts.count(False)} of {len(verdicts)} are not as they should be.")


def wait_for_interrupt() -> None:
    """Leave the services alone until Ctrl-C."""
    print("Press Ctrl-C to stop.", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="bank", description="Run a small bank and its customers.")
    parser.add_argument(
        "--scenario",
        action="append",
        choices=["all", "serve", *SCENARIOS],
        help="what the customers do; may be given several times. all: everything, and the default. "
        "serve: nothing, the services run until Ctrl-C",
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="of traffic, and of patience in a deadlock (0.5)")
    parser.add_argument("--rate", type=float, default=40, help="requests a second in the traffic scenario (40)")
    parser.add_argument("--seed", type=int, default=7, help="of latencies, failures and customers' choices (7)")
    parser.add_argument("--log", action="store_true", help="show what the services logged")
    return parser.parse_args(argv)


def _end(signum: int, _: object) -> NoReturn:
    """End in an orderly way, so that the services are stopped too."""
    sys.exit(128 + signum)


def main(argv: list[str] | None = None) -> int:
    """Run the bank."""
    options = parse(argv)
    signal.signal(signal.SIGTERM, _end)
    names: list[str] = options.scenario or ["all"]
    if "all" in names:
        names = list(SCENARIOS)
    status = 0
    with tempfile.TemporaryFile("w+") as log:
        try:
            with processes.running(options.seed, log) as services:
                if names in (["serve"], ["deadlock"]):
                    for service in services.values():
                        print(f"{service.name:<18} {service.url}  pid {service.pid}", flush=True)
                if "serve" in names:
                    wait_for_interrupt()
                else:
                    asyncio.run(play(names, services, options))
        except* KeyboardInterrupt:
            status = 130
        except* httpx.HTTPError as errors:
            status = 1
            print(f"bank: a service does not answer: {errors.exceptions[0]!r}", file=sys.stderr)
        if options.log or status == 1:
            log.seek(0)
            sys.stderr.write(log.read())
    return status
