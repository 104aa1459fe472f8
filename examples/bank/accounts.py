"""The accounts, and every way in which money moves between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

OPENING = {"alice": 1000, "bob": 500, "charlie": 300}

Audit = Callable[[str, str, int], Awaitable[None]]


class InsufficientFundsError(Exception):
    """The payer has less than the amount."""


@dataclass
class Account:
    """What one customer owns, in whole units of the bank's currency."""

    owner: str
    balance: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    def require(self, amount: int) -> None:
        """Raise InsufficientFundsError if there is less than *amount*."""
        if self.balance < amount:
            raise InsufficientFundsError(f"{self.owner} has {self.balance}, {amount} are needed")


class Bank:
    """All accounts.

    Args:
        audit: Writes a payment into the ledger of the back office; money may move only
            after it has returned.
    """

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self.accounts: dict[str, Account] = {}
        self.open()

    def open(self) -> None:
        """Open the business day: everyone has the opening balance."""
        self.accounts = {owner: Account(owner, balance) for owner, balance in OPENING.items()}

    def balances(self) -> dict[str, int]:
        """Return what everyone owns."""
        return {account.owner: account.balance for account in self.accounts.values()}

    # -- transfer: from one customer to another

    async def transfer(self, payer: str, payee: str, amount: int) -> None:
        """Move *amount* from *payer* to *payee*."""
        source, target = self.accounts[payer], self.accounts[payee]
        balance = source.balance  # expect: lost-update/read
        if balance < amount:
            raise InsufficientFundsError(f"{payer} has {balance}, {amount} are needed")
        await self.audit(payer, payee, amount)  # expect: lost-update/await
        source.balance = balance - amount  # expect: lost-update/write
        target.balance += amount  # expect: no lost-update/one-step

    async def transfer_locked(self, payer: str, payee: str, amount: int) -> None:
        """Move *amount* from *payer* to *payee*, one payment of an account at a time."""
        source, target = self.accounts[payer], self.accounts[payee]
        first, second = _in_order(source, target)
        async with first.lock, second.lock:
            balance = source.balance  # expect: no lost-update/locked-read
            if balance < amount:
                raise InsufficientFundsError(f"{payer} has {balance}, {amount} are needed")
            await self.audit(payer, payee, amount)
            source.balance = balance - amount  # expect: no lost-update/locked-write
            target.balance += amount

    async def transfer_checked(self, payer: str, payee: str, amount: int) -> None:
        """Move *amount* from *payer* to *payee*, and look again once the ledger has agreed."""
        source, target = self.accounts[payer], self.accounts[payee]
        source.require(amount)
        await self.audit(payer, payee, amount)
        source.require(amount)
        source.balance -= amount  # expect: no lost-update/checked-again
        target.balance += amount

    # -- settle and refund: both parties' accounts stand still meanwhile

    async def settle(self, payer: str, payee: str, amount: int) -> None:
        """Pay what *payer* owes to *payee*."""
        source, target = self.accounts[payer], self.accounts[payee]
        async with source.lock:  # expect: deadlock/settle-holds
            await self.audit(payer, payee, amount)
            async with target.lock:  # expect: deadlock/settle-waits
                source.require(amount)
                source.balance -= amount
                target.balance += amount

    async def refund(self, payer: str, payee: str, amount: int) -> None:
        """Give back to *payer* what *payee* was paid."""
        source, target = self.accounts[payer], self.accounts[payee]
        async with target.lock:  # expect: deadlock/refund-holds
            await self.audit(payee, payer, amount)
            async with source.lock:  # expect: deadlock/refund-waits
                target.require(amount)
                target.balance -= amount
                source.balance += amount

    async def settle_ordered(self, payer: str, payee: str, amount: int) -> None:
        """Pay what *payer* owes to *payee*."""
        source, target = self.accounts[payer], self.accounts[payee]
        first, second = _in_order(source, target)
        async with first.lock:  # expect: no deadlock/settle-first
            await self.audit(payer, payee, amount)
            async with second.lock:  # expect: no deadlock/settle-second
                source.require(amount)
                source.balance -= amount
                target.balance += amount

    async def refund_ordered(self, payer: str, payee: str, amount: int) -> None:
        """Give back to *payer* what *payee* was paid."""
        source, target = self.accounts[payer], self.accounts[payee]
        first, second = _in_order(source, target)
        async with first.lock:  # expect: no deadlock/refund-first
            await self.audit(payee, payer, amount)
            async with second.lock:  # expect: no deadlock/refund-second
                target.require(amount)
                target.balance -= amount
                source.balance += amount


def _in_order(one: Account, other: Account) -> tuple[Account, Account]:
    """Return both accounts in the one order in which everyone locks them."""
    return (one, other) if one.owner < other.owner else (other, one)
