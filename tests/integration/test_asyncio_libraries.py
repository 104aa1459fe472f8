"""What is recorded of asyncio's primitives that a library uses for itself, and of those it is given."""

from __future__ import annotations

import pytest
from conftest import record_program
from recorded_waits import waits, waker

LIBRARY = """
import asyncio


class Connection:
    def __init__(self):
        self.readable = asyncio.Event()

    def feed(self):
        self.readable.set()

    def pause(self):
        self.readable.clear()

    async def read(self):
        await self.readable.wait()


async def give_way():
    await asyncio.sleep(0)


async def back_off():
    await asyncio.sleep(0.001)


def announce(event):
    event.set()
"""
PROGRAM = f"""
import asyncio, pathlib, sys

folder = pathlib.Path("site-packages")
folder.mkdir(exist_ok=True)
(folder / "library.py").write_text('''{LIBRARY}''')
sys.path.insert(0, str(folder))
import library

async def quiet():
    connection = library.Connection()
    connection.feed()
    await connection.read()
    connection.pause()
    await library.give_way()

async def reader(connection):
    await connection.read()

async def feeder(connection):
    connection.feed()

async def waits():
    connection = library.Connection()
    async with asyncio.TaskGroup() as group:
        group.create_task(reader(connection), name="reader")
        await asyncio.sleep(0)
        group.create_task(feeder(connection), name="feeder")

async def backs_off():
    await library.back_off()

async def own():
    started = asyncio.Event()
    started.set()
    started.clear()
    library.announce(started)
    await started.wait()
    await asyncio.sleep(0)

async def main():
    for function in (quiet, waits, backs_off, own):
        await asyncio.create_task(function(), name=function.__name__)

if "uvloop" in sys.argv:
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
print("done")
"""


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def done(request, tmp_path_factory):
    """The program recorded once for all tests of a loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop has no build for this interpreter")
    recorded = record_program(tmp_path_factory.mktemp("libraries"), PROGRAM, request.param)
    assert (recorded.returncode, recorded.stdout, recorded.problems) == (0, "done\n", {}), recorded.stderr
    return recorded


def test_what_a_library_does_with_its_own_event_is_left_out_while_nobody_waits(done):
    """Setting, clearing, passing a set event, and only letting others run leave no event."""
    assert waits(done, scope="quiet") == []


def test_a_wait_for_a_librarys_event_is_recorded_with_who_ended_it(done):
    """Where somebody waits, both sides are there, and the wait has the user's line."""
    assert waits(done, scope="reader") == [
        ("reader", "wait", "event_wait", ""),
        ("reader", "await", "event_wait", ""),
    ]
    (ended,) = done.of("sync.await", scope="reader")
    woke = waker(done, ended)
    assert (woke.kind, woke.scope.name, woke.entity) == ("sync.set", "feeder", ended.entity)
    assert ended.site.function == "reader"


def test_a_librarys_event_has_its_type_and_the_line_of_the_library_but_no_name(done):
    """No variable is searched for it."""
    (ended,) = done.of("sync.await", scope="reader")

    assert (ended.entity.name, ended.entity.type) == ("", "asyncio.locks.Event")
    assert ended.entity.site.function == "Connection.read"


def test_a_sleep_of_a_library_that_lasts_is_recorded(done):
    """Its line is the user's."""
    assert waits(done, scope="backs_off") == [
        ("backs_off", "wait", "sleep", ""),
        ("backs_off", "await", "sleep", ""),
    ]
    assert done.of("sync.wait", scope="backs_off")[0].site.function == "backs_off"


def test_an_event_of_the_users_is_recorded_whoever_uses_it(done):
    """Also what a library does with it, and where nobody waits."""
    assert [verb for _, verb, _, _ in waits(done, entity="started")] == ["set", "clear", "set", "await"]
    assert [verb for _, verb, _, _ in waits(done, scope="own")][-2:] == ["wait", "await"]
