"""What the calls of clew's interface cost in a program that is not recorded, in ns; and OpenTelemetry's without its SDK.

A decorated function's figure is what it costs more than the same function undecorated.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from itertools import repeat

from opentelemetry import trace

import clew

REPEATS = 7
tracer = trace.get_tracer("benchmark")


def nothing():
    pass


async def nothing_async():
    pass


spanned, effect = clew.span("step")(nothing), clew.effect("tool")(nothing)
spanned_async = clew.span("step")(nothing_async)
traced = tracer.start_as_current_span("step")(nothing)


def empty(times):
    for _ in times:
        pass


def span(times):
    for _ in times:
        with clew.span("step"):
            pass


def run(times):
    for _ in times:
        with clew.run("nightly"):
            pass


def event(times):
    for _ in times:
        clew.event("custom", name="paid", amount=3)


def resource(times):
    for _ in times:
        clew.resource("db:accounts", 7, "read")


def is_recording(times):
    for _ in times:
        clew.is_recording()


def otel_span(times):
    for _ in times:
        with tracer.start_as_current_span("step"):
            pass


def call(function):
    def loop(times):
        for _ in times:
            function()

    return loop


def call_async(function):
    async def loop(times):
        for _ in times:
            await function()

    def drive(times):
        with suppress(StopIteration):
            loop(times).send(None)

    return drive


LOOPS = {
    "with clew.span(name)": (span, empty),
    "with clew.run(name)": (run, empty),
    "clew.event(kind, **attrs)": (event, empty),
    "clew.resource(name, key, operation)": (resource, empty),
    "clew.is_recording()": (is_recording, empty),
    "@clew.span": (call(spanned), call(nothing)),
    "@clew.effect": (call(effect), call(nothing)),
    "@clew.span, async": (call_async(spanned_async), call_async(nothing_async)),
    "OpenTelemetry without SDK: with start_as_current_span(name)": (otel_span, empty),
    "OpenTelemetry without SDK: @start_as_current_span": (call(traced), call(nothing)),
}


def least(loop, number):
    """Return the least ns per turn: whatever else runs on the machine only adds."""
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.perf_counter_ns()
        loop(repeat(None, number))
        best = min(best, time.perf_counter_ns() - begin)
    return best / number


number = int(sys.argv[1])
print(json.dumps({name: least(loop, number) - least(base, number) for name, (loop, base) in LOOPS.items()}))
