"""What is recorded of threading.Lock and threading.RLock, and which of them are recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_stories import UNTIL_WAITING, cause_of, of_kind, story


def test_a_free_lock_is_one_event_to_get_and_one_to_give_back(record):
    """Named by variable or attribute, with the line that made it; an RLock counts once."""
    done = record(
        """
        import threading

        class Account:
            def __init__(self):
                self.lock = threading.RLock()

        account = Account()
        lock = threading.Lock()
        with lock:
            pass
        lock.acquire()
        lock.release()
        with account.lock:
            with account.lock:
                account.lock.acquire()
                account.lock.release()
        """
    )

    assert (done.returncode, done.problems) == (0, {}), done.stderr
    events = done.events
    once = ["MainThread sync.acquired acquire", "MainThread sync.release acquire"]
    assert story(events, "lock") == once * 2
    assert story(events, "Account.lock") == once
    lock, rlock = (of_kind(events, "sync.acquired", name)[0] for name in ("lock", "Account.lock"))
    assert (lock.entity.kind, lock.entity.type, lock.entity.site.line) == ("lock", "_thread.lock", 9)
    assert (rlock.entity.kind, rlock.entity.type, rlock.entity.site.line) == ("rlock", "_thread.RLock", 6)
    assert (lock.site.line, rlock.site.line) == (10, 14)
    assert {(e.cause, e.wait_ns) for e in (lock, rlock)} == {(0, 0)}


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_lock_that_is_held_is_waited_for(record, kind):
    """The wait names the release that ended it; timeouts and trials say how they ended."""
    done = record(
        UNTIL_WAITING
        + f"""
lock = threading.{kind}()

def hold():
    with lock:
        pass

def attempt():
    print(lock.acquire(False), lock.acquire(timeout=0.01), lock.acquire(blocking=0))

lock.acquire()
start("trial", attempt).join()
waiter = start("waiter", hold)
until_waiting(waiter)
lock.release()
waiter.join()
"""
    )

    assert (done.stdout, done.problems) == ("False False False\n", {}), done.stderr
    events = done.events
    assert story(events, "lock") == [
        "MainThread sync.acquired acquire",
        "trial sync.abandon acquire would_block",
        "trial sync.acquire acquire",
        "trial sync.abandon acquire timeout",
        "trial sync.abandon acquire would_block",
        "waiter sync.acquire acquire",
        "MainThread sync.release acquire",
        "waiter sync.acquired acquire",
        "waiter sync.release acquire",
    ]
    (got,) = of_kind(events, "sync.acquired", "lock", "waiter")
    assert got.wait_ns > 0
    assert cause_of(events, got).scope.name == "MainThread"
    assert cause_of(events, got).kind == "sync.release"
    assert got.site.function == "hold"


def test_an_interrupted_wait_for_a_lock_is_abandoned(record):
    """A signal handler that raises ends the wait, and the lock stays as it was."""
    done = record(
        """
        import os, signal, threading

        class Stop(Exception):
            pass

        def stop(*args):
            raise Stop

        signal.signal(signal.SIGALRM, stop)
        lock = threading.Lock()
        rlock = threading.RLock()
        for kind in (lock, rlock):
            held = threading.Event()
            free = threading.Event()

            def hold():
                with kind:
                    held.set()
                    free.wait()

            thread = threading.Thread(target=hold)
            thread.start()
            held.wait()
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            try:
                kind.acquire()
            except Stop as error:
                frames = []
                traceback = error.__traceback__
                while traceback:
                    frames.append(traceback.tb_frame.f_code.co_name)
                    traceback = traceback.tb_next
                print(frames)
            free.set()
            thread.join()
            print(kind.acquire(timeout=60))
            kind.release()
        """
    )

    assert done.stdout == "['<module>', 'stop']\nTrue\n" * 2, done.stderr
    assert [(e.entity.kind, e.outcome) for e in done.of("sync.abandon")] == [("lock", "failed"), ("rlock", "failed")]
    assert done.problems == {}


LOCKS_OF_OTHERS = """
import _thread, importlib.util, pathlib, queue, sys, threading

folder = pathlib.Path("site-packages")
folder.mkdir(exist_ok=True)
(folder / "library.py").write_text("import threading\\nlibrary_lock = threading.Lock()\\nlibrary_rlock = threading.RLock()\\n")
sys.path.insert(0, str(folder))
import library

user_lock, user_rlock = threading.Lock(), threading.RLock()
with user_lock, user_rlock, library.library_lock, library.library_rlock, _thread.allocate_lock():
    pass
condition = threading.Condition()
with condition:
    pass
items = queue.Queue()
items.put(1)
items.get()
"""


@pytest.mark.parametrize(
    ("setting", "recorded"),
    [
        ("user", ["user_lock", "user_rlock", "condition"]),
        ("all", ["user_lock", "user_rlock", "lock of library", "rlock of library", "condition"]),
        ("off", []),
    ],
)
def test_the_setting_locks_says_whose_locks_are_recorded(record, setting, recorded):
    """User code's, everybody's but the inside of other primitives, or nobody's."""
    done = record(LOCKS_OF_OTHERS, env={"CLEW_LOCKS": setting})

    assert (done.returncode, done.problems) == (0, {}), done.stderr
    found = [e.entity for e in done.of("sync.acquired")]
    assert [e.name or f"{e.kind} of {Path(e.site.file).stem}" for e in found] == recorded


def test_a_lock_that_code_without_a_name_for_it_uses_has_its_line(record):
    """The site of an entity is where it was made, also when it is used elsewhere."""
    done = record(
        """
        import threading

        def make():
            return threading.Lock()

        for lock in [make() for _ in range(3)]:
            with lock:
                pass
        """
    )

    entities = {e.entity.id: e.entity for e in done.of("sync.acquired")}
    assert [(e.site.line, e.site.function) for e in entities.values()] == [(5, "make")] * 3


def test_locks_of_a_forked_child_are_recorded_in_the_child(record):
    """A lock held over a fork can be used there, as the program would, and is the child's own."""
    done = record(
        """
        import os, threading, sys

        lock = threading.Lock()
        rlock = threading.RLock()
        lock.acquire()
        with rlock:
            pid = os.fork()
            if not pid:
                print(lock.locked(), lock.acquire(timeout=0.01), rlock.acquire(False))
                lock._at_fork_reinit()
                print(lock.locked(), lock.acquire(False))
                sys.stdout.flush()
                sys.exit()
            os.waitpid(pid, 0)
        lock.release()
        print(lock.locked())
        """
    )

    assert done.stdout == "True False True\nFalse True\nFalse\n", done.stderr
    first, second = done.recording.streams
    events = done.events
    parent = [e for e in events if e.process == first.id]
    child = [e for e in events if e.process == second.id]
    assert story(parent, "lock") == ["MainThread sync.acquired acquire", "MainThread sync.release acquire"]
    assert story(child, "lock") == [
        "MainThread sync.acquire acquire",
        "MainThread sync.abandon acquire timeout",
        "MainThread sync.acquired acquire",
    ]
