"""The page in a real browser, on a real server that a real program was recorded into.

One server and one recording for the module: what the tests do to the page is in its address,
and a fresh page has none of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import clew

pytestmark = pytest.mark.e2e

BROWSER_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
LAPTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
WAIT_MS = 20_000
PROGRAM = """
import asyncio, gc

lock = asyncio.Lock()

async def hold():
    async with lock:
        await asyncio.sleep(0.08)

async def want():
    async with lock:
        pass

async def send_receipt():
    raise KeyError("charlie")

async def main():
    receipt = asyncio.create_task(send_receipt(), name="receipt-charlie")
    await asyncio.gather(hold(), want())
    del receipt
    gc.collect()

asyncio.run(main())
"""
SLOW = """
async def main():
    while not gate.exists():
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


def start(*words: object, stdout: Any = subprocess.PIPE, **options: Any) -> subprocess.Popen[str]:
    """Start ``clew`` with *words*."""
    command = [sys.executable, "-m", "clew", *map(str, words)]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.STDOUT, text=True, **options)


class Server:
    """A server of its own, on a free port."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        # To a file: a pipe that nobody reads would stop the server once its log has filled it.
        self._log = folder / "server.log"
        with self._log.open("w") as log:
            self._process = start("serve", "--store", folder / "store", "--port", "0", *words, stdout=log)
        self.url = self._address()

    def _address(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            found = re.search(r"http://127\.0\.0\.1:\d+", self._log.read_text())
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self._log.read_text()}")

    def record(self, name: str, code: str = PROGRAM, env: dict[str, str] | None = None) -> None:
        """Run a program that sends its recording here."""
        script = self.folder / f"{name}.py"
        script.write_text(code)
        process = start("run", "--server", self.url, script, cwd=self.folder, env={**os.environ, **(env or {})})
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.communicate(timeout=30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows one run."""
    found = Server(tmp_path_factory.mktemp("page"))
    try:
        found.record("bank")
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real chromium, without a window."""
    if not (Path(clew.__file__).parent / "server/static/index.html").is_file():
        pytest.skip("the page is not built here: 'make web' builds it, with Node")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("there is no chromium on this machine; install it with: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, headless=True, args=BROWSER_FLAGS)
        yield found
        found.close()


class Page:
    """A page of the browser that remembers what went wrong in it."""

    def __init__(self, browser: Any, url: str, size: dict[str, int] = LAPTOP) -> None:
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        self._context = browser.new_context(viewport=size)
        self.page = self._context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.add(request.url.split("/", 3)[2]))
        self.page.goto(url)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def sees(self, text: str) -> None:
        """Wait until *text* is on the page."""
        self.page.get_by_text(text).first.wait_for()

    def rows(self, label: str) -> Any:
        return self.page.get_by_label(label, exact=True).locator(".grid-row")

    def until(self, expression: str) -> None:
        """Wait until *expression* of the page is true.

        Asked from outside: the page's policy lets nothing in it evaluate texts, Playwright's polling neither.
        """
        deadline = time.monotonic() + WAIT_MS / 1000
        while not self.page.evaluate(f"() => Boolean({expression})"):
            assert time.monotonic() < deadline, f"{expression} did not become true"
            self.page.wait_for_timeout(20)

    def close(self) -> None:
        self._context.close()
        assert self.complaints == []


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Page]:
    """The list of runs, on a laptop; nothing may go wrong in it."""
    found = Page(browser, server.url)
    found.rows("Runs").first.wait_for()
    yield found
    found.close()


@pytest.fixture
def run(page: Page) -> Page:
    """The run, opened; its finding has been worked out."""
    page.rows("Runs").first.click()
    page.page.get_by_label("Finding", exact=True).wait_for()
    return page


def test_a_run_is_opened_with_keys_alone(page: Page) -> None:
    """`j` goes to the run, `enter` opens it, `esc` comes back."""
    page.press("j", "Enter")
    page.until("/^.runs.[0-9a-f]{32}$/.test(location.pathname)")

    page.press("Escape")

    page.until("location.pathname === '/runs'")
    page.rows("Runs").first.wait_for()


def test_a_finding_leads_to_its_thread(run: Page) -> None:
    """*Show me* selects the evidence; the thread is listed from where it began to what was selected."""
    run.page.get_by_role("button", name="Show me").click()

    steps = run.page.locator(".thread-step")
    steps.first.wait_for()

    assert "KeyError: charlie" in run.page.locator(".inspector-head h2").inner_text()
    assert steps.count() >= 3
    assert "is-active" in (steps.last.get_attribute("class") or "")
    assert run.page.locator(".thread-path").count() == 1


def test_one_walks_along_the_thread_and_the_address_says_where(run: Page) -> None:
    """`[` selects the cause and keeps the thread; a colleague who opens the address sees the same."""
    run.page.get_by_role("button", name="Show me").click()
    run.page.locator(".thread-step").first.wait_for()
    texts = run.page.locator(".thread-step .unseen").all_inner_texts()

    run.press("[", "[")
    run.until("location.search.includes('thread=')")
    run.page.reload()
    active = run.page.locator(".thread-step.is-active .unseen")
    active.wait_for()

    assert active.inner_text() == texts[-3]
    assert run.page.locator(".thread-step .unseen").all_inner_texts() == texts


def test_the_thread_runs_through_the_table_of_events(run: Page) -> None:
    """Rows on it are marked, and the selected one is in sight."""
    run.page.get_by_role("button", name="Show me").click()
    run.page.get_by_role("tab", name="Events").click()

    run.page.locator(".grid-row.is-active.thread-on").wait_for()

    assert run.page.locator(".grid-row.thread-on").count() >= 2


def test_a_filter_is_completed_and_its_error_stands_at_its_place(run: Page) -> None:
    """Tab completes a word; what the server does not know is marked below the word."""
    run.page.get_by_role("tab", name="Events").click()
    run.rows("Events of the run").first.wait_for()
    everything = run.rows("Events of the run").count()

    run.press("/")
    run.page.keyboard.type("kin")
    run.press("Tab")
    run.page.keyboard.type("error.*")
    run.until(f"document.querySelectorAll('.grid-row').length < {everything}")
    kinds = run.page.locator(".grid-row .cell:nth-child(2)").all_inner_texts()
    run.page.keyboard.type(" nonsense:1 ")
    run.page.locator(".filter-wrong:visible").wait_for()

    assert kinds
    assert all("error." in kind for kind in kinds)
    assert "nonsense" in run.page.locator(".filter-wrong").inner_text()
    assert run.page.locator(".filter-where").evaluate("element => element.style.left") == "13ch"


def test_the_tree_is_one_for_assistive_technology_too(run: Page) -> None:
    """Levels and states are told; arrow keys fold and unfold."""
    tree = run.page.get_by_role("treegrid")
    tree.wait_for()
    rows = tree.get_by_role("row")
    before = rows.count()
    first = tree.locator(".grid-row").first

    first.click()
    run.press("ArrowLeft")
    run.until("document.querySelector('[role=treegrid] .grid-row').getAttribute('aria-expanded') === 'false'")

    assert first.get_attribute("aria-level") == "1"
    assert rows.count() < before
    run.press("ArrowRight")
    run.until(f"document.querySelectorAll('[role=treegrid] [role=row]').length === {before}")


def test_sql_is_answered_where_it_is_asked(page: Page) -> None:
    """Ctrl-Enter runs the query; an error is shown in place; the address holds the query."""
    page.press("g", "q")
    editor = page.page.get_by_label("SQL query")
    editor.fill("select count(*) as n, 9007199254740993 as big from events")
    editor.press("Control+Enter")
    page.rows("Rows of the answer").first.wait_for()
    cells = page.page.locator(".grid-row .cell").all_inner_texts()

    editor.fill("select nonsense from events")
    editor.press("Control+Enter")
    page.page.get_by_role("alert").wait_for()

    assert int(cells[0]) > 10
    assert cells[1] == "9007199254740993"
    assert "nonsense" in page.page.get_by_role("alert").inner_text()
    assert "filter=select" in page.page.url


def test_rows_are_downloaded_as_csv(page: Page) -> None:
    """The file holds the names of the columns and every digit."""
    page.press("g", "q")
    page.page.get_by_label("SQL query").fill("select 9007199254740993 as big, 'a,b' as text")
    page.page.get_by_role("button", name="Run", exact=True).click()
    page.rows("Rows of the answer").first.wait_for()

    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Download as CSV").click()

    assert Path(download.value.path()).read_bytes() == b'big,text\r\n9007199254740993,"a,b"\r\n'


def test_a_column_keeps_the_width_it_was_given(page: Page) -> None:
    """Dragged by its edge; a reload does not change it."""
    head = page.page.get_by_role("columnheader", name=re.compile("Service"))
    edge = head.locator(".grid-edge").bounding_box()
    before = head.bounding_box()["width"]

    page.page.mouse.move(edge["x"] + 4, edge["y"] + 8)
    page.page.mouse.down()
    page.page.mouse.move(edge["x"] + 64, edge["y"] + 8)
    page.page.mouse.up()
    page.page.reload()
    head.wait_for()

    assert abs(head.bounding_box()["width"] - before - 60) <= 2


def test_the_palette_and_the_help_name_every_action(page: Page) -> None:
    """Ctrl-K finds an action by a few letters; `?` lists the keys; Escape closes either."""
    page.press("Control+k")
    page.page.keyboard.type("services")
    page.page.get_by_role("option", name=re.compile("Go to Services")).wait_for()
    page.page.get_by_role("option", name=re.compile("Go to Services")).click()
    page.until("location.pathname === '/services'")

    page.press("?")
    page.sees("Keys on this page")
    shown = page.page.get_by_role("dialog").inner_text()
    page.press("Escape")
    page.until("!document.querySelector('dialog')")

    assert "Go to Findings" in shown


def test_the_theme_is_kept(page: Page) -> None:
    """A chosen theme outlives a reload, and is there before the first frame."""
    page.press("Control+k")
    page.page.keyboard.type("theme dark")
    page.press("Enter")
    page.until("document.documentElement.dataset.theme === 'dark'")

    page.page.reload()

    assert page.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_on_a_phone_the_rail_is_below_and_the_inspector_a_sheet(browser: Any, server: Server) -> None:
    """Nothing is wider than the screen."""
    phone = Page(browser, server.url, PHONE)
    phone.rows("Runs").first.click()
    phone.page.get_by_role("button", name="Show me").click()
    phone.page.locator(".thread-step").first.wait_for()

    rail = phone.page.get_by_label("Pages").bounding_box()
    sheet = phone.page.locator(".inspector").bounding_box()

    assert rail["y"] > PHONE["height"] - 80
    assert sheet["width"] == PHONE["width"]
    assert sheet["y"] + sheet["height"] <= rail["y"] + 1
    assert phone.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    phone.page.get_by_label("Close").click()
    phone.until("!document.querySelector('.has-selection')")
    phone.close()


def test_nothing_is_asked_of_anyone_but_the_server(run: Page, server: Server) -> None:
    """No fonts, no scripts, no counters of others: it works without a network."""
    assert run.asked == {server.url.removeprefix("http://")}


def test_a_new_run_comes_in_by_itself(browser: Any, tmp_path: Path) -> None:
    """An empty list teaches the command; what that command does appears without a reload."""
    server = Server(tmp_path)
    try:
        page = Page(browser, server.url)
        page.sees("No runs yet")
        taught = page.page.locator(".command code").inner_text()

        server.record("fresh")
        page.rows("Runs").first.wait_for()

        assert taught == f"clew run --server {server.url} app.py"
        assert "fresh" in page.rows("Runs").first.inner_text()
        page.close()
    finally:
        server.close()


def test_a_run_is_followed_while_it_goes_on(browser: Any, tmp_path: Path) -> None:
    """Its status and the number of its events change without a reload."""
    server = Server(tmp_path)
    try:
        page = Page(browser, server.url)
        page.sees("No runs yet")
        gate = tmp_path / "gate"
        (tmp_path / "slow.py").write_text(f"import asyncio, pathlib\ngate = pathlib.Path({str(gate)!r})\n{SLOW}")
        program = start("run", "--server", server.url, tmp_path / "slow.py", cwd=tmp_path)
        page.page.get_by_role("row").get_by_label("running").wait_for()
        page.rows("Runs").first.click()
        page.page.locator(".run-head .status-running").wait_for()

        gate.touch()
        page.page.locator(".run-head .status-succeeded").wait_for()

        said, _ = program.communicate(timeout=60)
        assert program.returncode == 0, said
        page.close()
    finally:
        server.close()


def test_a_server_that_wants_a_key_is_given_one(browser: Any, tmp_path: Path) -> None:
    """The page asks for it, keeps it for the tab, and goes on."""
    made = start("serve", "--store", tmp_path / "store", "--make-key", "me:viewer")
    said, _ = made.communicate(timeout=60)
    key = max(re.findall(r"\S+", said), key=len)
    server = Server(tmp_path, "--require-key")
    try:
        page = Page(browser, server.url)
        page.page.get_by_label("Key", exact=True).fill(key)
        page.press("Enter")
        page.sees("No runs yet")

        assert page.page.evaluate("sessionStorage.length") == 1
        assert page.page.evaluate("localStorage.length") == 0
        page.close()
    finally:
        server.close()


def test_the_page_says_when_the_server_is_away(browser: Any, tmp_path: Path) -> None:
    """And goes on by itself once it is back, at the same address."""
    server = Server(tmp_path)
    page = Page(browser, server.url)
    page.until("document.querySelector('.live-live')")

    server.close()
    page.until("document.querySelector('.live-away')")
    port = server.url.rpartition(":")[2]
    back = start("serve", "--store", tmp_path / "store", "--port", port, stdout=subprocess.DEVNULL)
    try:
        page.until("document.querySelector('.live-live')")
    finally:
        back.terminate()
        back.communicate(timeout=30)
    page.close()
