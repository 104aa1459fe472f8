"""Measure the timeline in a browser: frame times while panning and zooming, first picture, memory.

    cd web && npx vite build -c bench/vite.config.ts --outDir /tmp/bench
    .venv/bin/python tools/bench/timeline.py /tmp/bench BODY [BODY …] [--size 1440x900]

A body is what ``GET /api/v1/runs/{run}/timeline`` answers, or what ``tools/bench/timeline_body.py`` makes. Every
lane is unfolded first: a folded one would be cheaper. A frame is what the browser needs from one callback of
``requestAnimationFrame`` to the next while it is fed one turn of the wheel a frame; at 60 Hz none is shorter than
16.7 ms. *Work* is the part of it spent in callbacks: scan, raster, labels.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import shutil
import statistics
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-precise-memory-info",
]  # fmt: skip
FRAMES = 90
ZOOMS = (("full view", 0.98), ("10 %", 0.1), ("1 %", 0.01), ("0.1 %", 0.001))
LIMIT_MS = 33.4
"""The budget of a frame: two of a screen of 60 Hz, and what timers round."""

_WATCH = """() => {
  const ask = window.requestAnimationFrame.bind(window);
  window.work = 0;
  window.requestAnimationFrame = (f) => ask((now) => { const t = performance.now(); f(now); window.work += performance.now() - t; });
  window.ask = ask;
}"""
_PAN = """(frames) => new Promise((done) => {
  const canvas = document.querySelector('.tl-overlay'); const box = canvas.getBoundingClientRect();
  const times = []; const works = []; let last = 0; let n = 0;
  const turn = (options) => canvas.dispatchEvent(new WheelEvent('wheel', {
    bubbles: true, cancelable: true, clientX: box.left + box.width * 0.4, clientY: box.top + 60, ...options}));
  const step = (now) => {
    if (last) { times.push(now - last); works.push(window.work); }
    window.work = 0; last = now;
    if (n++ > frames) return done({times, works});
    if (KIND === 'pan') turn({shiftKey: true, deltaY: n % SPAN < SPAN / 2 ? 37 : -37});
    else if (KIND === 'scroll') document.querySelector('.tl-scroll').scrollTop += n % 60 < 30 ? 11 : -11;
    else if (KIND === 'hover') canvas.dispatchEvent(new PointerEvent('pointermove', {
      bubbles: true, pointerType: 'mouse', clientX: box.left + 200 + n * 7, clientY: box.top + 60 + n * 3}));
    else turn({ctrlKey: true, deltaY: n % 20 < 10 ? -30 : 30});
    window.ask(step);
  };
  window.ask(step);
})"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    bodies: dict[str, Path] = {}  # noqa: RUF012 - set once, by main

    def do_GET(self) -> None:
        body = self.bodies.get(self.path)
        if body is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(body.stat().st_size))
        self.end_headers()
        with body.open("rb") as file:
            shutil.copyfileobj(file, self.wfile)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the figures are what is printed."""


def main() -> int:
    """Print the figures of each body; 1 if a frame time's 95th percentile is over the budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("bodies", type=Path, nargs="+")
    parser.add_argument("--size", default="1440x900")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    _Handler.bodies = {f"/body/{i}": body for i, body in enumerate(arguments.bodies)}
    handler = functools.partial(_Handler, directory=str(arguments.page))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    is_good = True
    with sync_playwright() as playwright:
        path = os.environ.get("CLEW_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        for i, body in enumerate(arguments.bodies):
            page = browser.new_page(viewport={"width": width, "height": height})
            url = f"http://127.0.0.1:{server.server_address[1]}/timeline.html?body=/body/{i}"
            is_good &= _measure(page, url, body, arguments.size)
            page.close()
        browser.close()
    server.shutdown()
    return 0 if is_good else 1


def _measure(page: Page, url: str, body: Path, size: str) -> bool:
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => window.bench && document.querySelector('.tl-name') && performance.now() > 0")
    first = page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
    )
    facts = page.evaluate("() => ({blocks: bench.timeline.blocks.size, decoded: bench.decodedMs})")
    print(f"{body.name}: {facts['blocks']:,} blocks, {body.stat().st_size / 1e6:.1f} MB, {size}")
    print(f"  first picture {first:.0f} ms after the navigation (decoded and checked in {facts['decoded']:.0f} ms)")
    for button in page.query_selector_all(".tl-name button[aria-expanded=false]"):
        button.click()
    page.evaluate(_WATCH)
    is_good = True
    print(f"  {'zoom':10} {'does':6} {'median ms':>9} {'p95 ms':>7} {'worst':>7} {'work median':>12} {'work p95':>9}")
    for name, share in ZOOMS:
        page.evaluate(
            "(share) => { const h = bench.timeline.head; const w = (h.to_ns - h.from_ns); const from = h.from_ns + w * 0.45 * (1 - share);"
            " bench.setZoom({from, to: from + w * share}); }",
            share,
        )
        page.wait_for_timeout(500)
        for kind in ("pan", "zoom", "scroll", "hover"):
            # Of the full view there is little on either side: it goes to and fro.
            found = page.evaluate(
                _PAN.replace("KIND", f"'{kind}'").replace("SPAN", "2" if share > 0.5 else "60"), FRAMES
            )
            times, works = sorted(found["times"]), sorted(found["works"])
            p95 = times[int(len(times) * 0.95)]
            is_good &= p95 <= LIMIT_MS
            print(
                f"  {name:10} {kind:6} {statistics.median(times):9.1f} {p95:7.1f} {times[-1]:7.1f}"
                f" {statistics.median(works):12.1f} {works[int(len(works) * 0.95)]:9.1f}"
            )
    _memory(page)
    return is_good


def _memory(page: Page) -> None:
    client = page.context.new_cdp_session(page)
    client.send("HeapProfiler.collectGarbage")
    client.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in client.send("Performance.getMetrics")["metrics"]}
    # Typed arrays are outside of the heap of JavaScript: this counts them too, canvases not.
    usage = page.evaluate("() => performance.memory.usedJSHeapSize")
    print(
        f"  memory: heap {metrics['JSHeapUsedSize'] / 1e6:.0f} MB, with the columns {usage / 1e6:.0f} MB; resident {_resident_mb():.0f} MB (the largest renderer)"
    )


def _resident_mb() -> float:
    """Return the resident size of the largest process of the browser that draws pages."""
    most = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            command = (status.parent / "cmdline").read_bytes()
            text = status.read_text(encoding="ascii", errors="replace") if b"--type=renderer" in command else ""
        except OSError:
            continue  # it has ended meanwhile
        for line in text.splitlines():
            if line.startswith("VmRSS:"):
                most = max(most, int(line.split()[1]))
    return most / 1000


if __name__ == "__main__":
    raise SystemExit(main())
