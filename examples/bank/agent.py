"""An agent that decides about loans: plan, retrieve, ask the tools, ask the model, validate."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx

MODEL = "teller-1"
MONTHS = 24
SYSTEM = "You are a careful loan officer. Answer with one JSON object."


@dataclass(frozen=True)
class Application:
    """What a customer asks for."""

    applicant: str
    amount: int
    employment: str


@dataclass(frozen=True)
class Decision:
    """What the agent decided, and on which grounds."""

    application: Application
    approved: bool
    policy: str
    reason: str


class InvalidAnswerError(Exception):
    """The model's answer cannot be acted upon."""


class LoanAgent:
    """Decides about applications, several at a time.

    Args:
        bank: Client of the bank's service: what the applicant owns.
        backoffice: Client of the back office: policies and credit scores.
        model: Client of a model server.
        policies: Where the back office is asked for the policy.
    """

    def __init__(
        self,
        bank: httpx.AsyncClient,
        backoffice: httpx.AsyncClient,
        model: httpx.AsyncClient,
        *,
        policies: str = "/policies",
    ) -> None:
        self.bank = bank
        self.backoffice = backoffice
        self.model = model
        self.policies = policies

    async def decide(self, application: Application) -> Decision:
        """Go through all steps for one application."""
        plan = await self.plan(application)
        policy = await self.retrieve(plan["search"])
        async with asyncio.TaskGroup() as group:
            tools = {name: group.create_task(self.call_tool(name, application), name=name) for name in plan["tools"]}
        facts = {name: task.result() for name, task in tools.items()}
        answer = await self.ask(application, policy, facts)
        self.validate(answer, policy)
        return Decision(application, answer["decision"] == "approve", answer["policy"], answer["reason"])

    async def plan(self, application: Application) -> dict[str, Any]:
        """Let the model say what it needs to know."""
        question = f"What do you need to know to decide about a loan to a {application.employment} customer?"
        response = await self.model.post("/v1/chat/completions", json=self._conversation(question))
        response.raise_for_status()
        return json.loads(response.json()["choices"][0]["message"]["content"])

    async def retrieve(self, query: str) -> dict[str, str]:
        """Find the policy that applies."""
        response = await self.backoffice.get(self.policies, params={"query": query})  # expect: wrong-approval/retrieve
        response.raise_for_status()
        return response.json()[0]

    async def call_tool(self, name: str, application: Application) -> dict[str, Any]:
        """Ask one of the tools that the model may ask for."""
        if name == "credit":
            response = await self.backoffice.get(f"/credit/{application.applicant}")
        else:
            response = await self.bank.get(f"/accounts/{application.applicant}")
        response.raise_for_status()
        return response.json()

    async def ask(self, application: Application, policy: dict[str, str], facts: dict[str, Any]) -> dict[str, Any]:
        """Let the model decide; its answer comes word by word."""
        question = (
            f"Policy: {policy['id']}\n{policy['text']}\n"
            f"Income: {facts['credit']['income']}\nDebts: {facts['credit']['debts']}\n"
            f"Balance: {facts['balance']['balance']}\n"
            f"Amount: {application.amount}\nInstalment: {application.amount // MONTHS}\n"
            "Approve or decline?"
        )
        words: list[str] = []
        request = self._conversation(question) | {"stream": True}
        async with self.model.stream("POST", "/v1/chat/completions", json=request) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                data = line.removeprefix("data: ")
                if data and data != "[DONE]":
                    words.append(json.loads(data)["choices"][0]["delta"]["content"])
        return json.loads("".join(words))

    def validate(self, answer: dict[str, Any], policy: dict[str, str]) -> None:
        """Raise InvalidAnswerError unless the answer is a decision that cites the policy it was given."""
        if answer.get("decision") not in ("approve", "decline"):
            raise InvalidAnswerError(f"neither approved nor declined: {answer}")
        if answer.get("policy") != policy["id"]:
            raise InvalidAnswerError(f"cites {answer.get('policy')}, was given {policy['id']}")

    @staticmethod
    def _conversation(question: str) -> dict[str, Any]:
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        return {"model": MODEL, "temperature": 0, "messages": messages}
