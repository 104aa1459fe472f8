"""A model server on this machine, with the API that everyone speaks: ``POST /v1/chat/completions``.

It understands two questions about a loan and answers each by a rule, so that the same
prompt always gets the same answer after the same time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bank.service import latency, serve

MODEL = "teller-1"


async def chat_completions(request: Request) -> Response:
    """Answer a conversation, in one piece or as server-sent events."""
    body = await request.json()
    prompt = "\n".join(message["content"] for message in body["messages"])
    fingerprint = hashlib.sha256(prompt.encode()).hexdigest()[:16]
    text = answer(prompt)
    await latency(40, 90, "model", fingerprint)
    if body.get("stream"):
        return StreamingResponse(_stream(fingerprint, text), media_type="text/event-stream")
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return JSONResponse({"id": fingerprint, "model": MODEL, "choices": [choice], "usage": usage})


async def _stream(fingerprint: str, text: str) -> AsyncIterator[str]:
    words = re.findall(r"\S+\s*", text)
    for i, word in enumerate(words):
        await latency(2, 5, "word", fingerprint, i)
        finish = "stop" if i == len(words) - 1 else None
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": finish}
        yield f"data: {json.dumps({'id': fingerprint, 'model': MODEL, 'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"


def answer(prompt: str) -> str:
    """Return what the model says to *prompt*."""
    return json.dumps(_decide(prompt) if "Policy:" in prompt else _plan(prompt))


def _plan(prompt: str) -> dict[str, Any]:
    kind = "self-employed" if "self-employed" in prompt else "salaried"
    return {"search": f"loans for {kind} customers", "tools": ["credit", "balance"]}


def _decide(prompt: str) -> dict[str, Any]:
    def number(pattern: str) -> int:
        found = re.search(pattern, prompt)
        return int(found[1]) if found else 0

    limit = number(r"at most (\d+) %")
    payments = number(r"Debts: (\d+)") + number(r"Instalment: (\d+)")
    share = round(100 * payments / max(1, number(r"Income: (\d+)")))
    policy = re.search(r"Policy: (\S+)", prompt)
    return {
        "decision": "approve" if share <= limit else "decline",
        "policy": policy[1] if policy else "",
        "reason": f"{share} % of the income, limit {limit} %",
    }


app = Starlette(routes=[Route("/v1/chat/completions", chat_completions, methods=["POST"])])

if __name__ == "__main__":
    serve(app)
