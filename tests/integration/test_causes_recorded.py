"""Threads of causes of programs that were really recorded."""

from __future__ import annotations

import numpy as np
from http_programs import CLIENT

from clew.analysis.causes import Causes
from clew.analysis.links import Links
from clew.analysis.timeline import timelines_of
from clew.model.kinds import EventKind, slug_of


def threads(done, kind, *, text=""):
    """The threads of all events of a kind whose own sentence has *text*: their sentences, and what they begin with."""
    timelines = timelines_of(done.recording)
    causes = Causes(timelines, Links(timelines))
    found = []
    for process, timeline in enumerate(timelines):
        for row in np.flatnonzero(timeline.columns["kind"] == kind).tolist():
            thread = causes.thread_of(process, row)
            sentences = [step.text for step in thread.steps]
            assert not thread.truncated, slug_of(EventKind, kind)
            if text in sentences[-1]:
                found.append((sentences, thread.begins))
    return found


def without_times(sentences):
    """Leave out what differs from run to run."""
    return [sentence.partition(" and waited")[0].partition(" for ")[0] for sentence in sentences]


def test_a_lock_of_asyncio_leads_to_who_released_it(record):
    """And from there to who started that task."""
    done = record(
        """
        import asyncio

        async def hold(lock, taken):
            async with lock:
                taken.set()
                await asyncio.sleep(0.05)

        async def want(lock):
            async with lock:
                raise ValueError("late")

        async def main():
            lock, taken = asyncio.Lock(), asyncio.Event()
            holder = asyncio.create_task(hold(lock, taken), name="holder")
            await taken.wait()
            await asyncio.gather(holder, asyncio.create_task(want(lock), name="wanting"), return_exceptions=True)

        asyncio.run(main())
        """
    )

    ((sentences, begins),) = threads(done, EventKind.ERROR_RAISED)

    assert begins == "process-start"
    assert without_times(sentences)[-4:] == [
        "holder slept",
        "holder released lock",
        "wanting asked",
        "wanting raised ValueError: late",
    ]


def test_an_item_of_a_thread_leads_to_who_put_it(record):
    """Between threads, as between tasks."""
    done = record(
        """
        import queue, threading

        jobs = queue.Queue()

        def work():
            job = jobs.get()
            jobs.done = job

        worker = threading.Thread(target=work, name="worker")
        worker.start()
        import time; time.sleep(0.05)
        jobs.put(1)
        worker.join()
        """
    )

    ((sentences, begins),) = threads(done, EventKind.SYNC_GET, text="worker took an item")

    assert sentences[-2] == "MainThread put an item into jobs"
    assert begins == "process-start"


def test_a_job_leads_to_who_submitted_it(record):
    """Through the pool."""
    done = record(
        """
        from concurrent.futures import ThreadPoolExecutor

        def job():
            raise KeyError("job")

        with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
            pool.submit(job).exception()
        """
    )

    ((sentences, begins),) = threads(done, EventKind.ERROR_RAISED)[:1]

    assert begins == "process-start"
    assert sentences[-1] == "pool_0 raised KeyError: job"
    assert sentences[-2].startswith("MainThread ")


SERVICE = (
    CLIENT
    + """
import subprocess

def serve():
    import uvicorn

    async def app(scope, receive, send):
        raise LookupError("not here")

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off")).run([listening])

def call(port):
    import httpx
    with httpx.Client(trust_env=False) as client:
        return client.get(f"http://127.0.0.1:{port}/thing").status_code

if len(sys.argv) > 1:
    serve()
else:
    command = [sys.executable, __file__, "serve"]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "CLEW_SERVICE": "shop"})
    print(call(int(service.stdout.readline())))
    service.terminate()
    service.wait()
"""
)


def test_an_error_in_another_process_leads_back_to_the_call(record):
    """From the service that failed to the program that called it, and back from its answer."""
    done = record(SERVICE)

    assert done.stdout == "500\n", done.stderr
    ((raised, begins), *_) = threads(done, EventKind.ERROR_RAISED, text="LookupError")
    ((answered, _),) = threads(done, EventKind.EFFECT_RESULT, text="/thing")
    assert begins == "process-start"
    assert raised[-3:-1] == ["MainThread sent GET /thing", "shop served GET /thing"]
    assert raised[-1].endswith("raised LookupError: not here")
    assert answered[-2].startswith("shop answered GET /thing")
    assert "500" in answered[-1]


def test_the_start_of_a_child_leads_to_its_parent(record):
    """What a child does began where its parent started it."""
    done = record(
        """
        import subprocess, sys

        if len(sys.argv) > 1:
            raise RuntimeError("child")
        subprocess.run([sys.executable, __file__, "child"], stderr=subprocess.DEVNULL)
        """
    )

    ((sentences, begins), *_) = threads(done, EventKind.ERROR_UNHANDLED)

    assert begins == "process-start"
    assert [sentence for sentence in sentences if "started the process" in sentence] != []
    assert sentences[-1].endswith("RuntimeError: child")
