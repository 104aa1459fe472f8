"""What is recorded of threads: start, run, end, join, timers, errors, spans."""

from __future__ import annotations

from recorded_stories import UNTIL_WAITING, cause_of, of_kind, story


def test_a_thread_starts_runs_ends_and_is_joined(record):
    """Each event names what enabled it; a join of an ended thread is one event."""
    done = record(
        """
        import threading

        def work():
            pass

        class Mine(threading.Thread):
            def run(self):
                work()

        for thread in (threading.Thread(target=work, name="quick"), Mine(name="mine")):
            thread.start()
            while thread.is_alive():
                pass
            thread.join()
        thread.name = "renamed"
        """
    )

    assert (done.returncode, done.problems) == (0, {}), done.stderr
    events = done.events
    for name, type_name, function in (("quick", "threading.Thread", "work"), ("renamed", "__main__.Mine", "Mine.run")):
        start, end, join = [e for e in events if e.entity is not None and e.entity.name == name]
        (step,) = [e for e in events if e.kind == "life.step" and e.scope.name == name]
        assert story(events, name) == [
            "MainThread life.thread_start",
            f"{name} life.thread_end ok",
            "MainThread sync.join join",
        ]
        assert (start.entity.kind, start.entity.type, start.site.line) == ("thread", type_name, 12)
        assert start.entity.parent == start.scope.id
        assert start.entity.site == start.site
        assert (step.cause, step.site.function, step.op) == (start.seq, function, "run")
        assert (step.arg > 0, step.wait_ns > 0) == (True, True)
        assert (join.cause, join.wait_ns) == (end.seq, 0)


def test_a_join_that_waits_is_two_events(record):
    """Also one that times out, one that does not wait, and the interpreter's at its end."""
    done = record(
        UNTIL_WAITING
        + """
gate = threading.Event()
thread = start("worker", gate.wait)
until_waiting(thread)
thread.join(0.01)
thread.join(0)
joiner = start("joiner", thread.join)
until_waiting(joiner)
gate.set()
joiner.join()
late = threading.Event()
last = start("last", late.wait)
threading.Thread(target=lambda: (until_waiting(threading.main_thread()), late.set()), daemon=True).start()
"""
    )

    assert (done.returncode, done.problems) == (0, {}), done.stderr
    events = done.events
    assert story(events, "worker") == [
        "MainThread life.thread_start",
        "MainThread sync.wait join",
        "MainThread sync.abandon join timeout",
        "MainThread sync.abandon join would_block",
        "joiner sync.wait join",
        "worker life.thread_end ok",
        "joiner sync.join join",
    ]
    (join,) = of_kind(events, "sync.join", "worker")
    assert join.wait_ns > 0
    assert cause_of(events, join).kind == "life.thread_end"
    assert story(events, "last")[1:] == [
        "MainThread sync.wait join",
        "last life.thread_end ok",
        "MainThread sync.join join",
    ]


def test_a_failed_thread_tells_what_ended_it(record, plain):
    """The error is the cause of the thread's end; excepthook and stderr are the program's."""
    program = """
        import sys, threading

        def boom():
            raise ValueError("bad", "password=hunter2!")

        def leave():
            raise SystemExit(3)

        def start(function, name):
            thread = threading.Thread(target=function, name=name)
            thread.start()
            thread.join()

        start(boom, "reported")
        threading.excepthook = lambda args: print(args.exc_type, args.exc_value, args.thread.name)
        start(boom, "boom")
        start(leave, "leaver")
        """

    done, expected = record(program, options=("--quiet",)), plain(program)

    assert (done.stdout, done.problems) == (expected.stdout, {})
    assert done.stderr == expected.stderr
    events = done.events
    (error,) = of_kind(events, "error.unhandled", "boom")
    (end,) = of_kind(events, "life.thread_end", "boom")
    assert (error.attrs["type"], error.attrs["message"]) == ("ValueError", "bad, password=[redacted]")
    assert (error.site.function, error.scope.name) == ("boom", "boom")
    assert (end.outcome, end.cause) == ("failed", error.seq)
    assert "leaver life.thread_end ok" in story(events, "leaver")
    assert of_kind(events, "error.unhandled", "leaver") == []


def test_a_thread_that_cannot_start_ends_at_once(record):
    """The exception is the program's; the thread is not left running in the recording."""
    done = record(
        """
        import _thread, threading

        def refuse(*args, **options):
            raise RuntimeError("can't start new thread")

        for name in ("_start_new_thread", "_start_joinable_thread"):
            if hasattr(threading, name):
                setattr(threading, name, refuse)
        thread = threading.Thread(target=print, name="refused")
        try:
            thread.start()
        except RuntimeError as error:
            print(error, error.__traceback__.tb_next.tb_frame.f_code.co_name)
        """
    )

    assert done.stdout == "can't start new thread start\n", done.stderr
    assert story(done.events, "refused") == ["MainThread life.thread_start", "MainThread life.thread_end failed"]


def test_a_timer_waits_and_its_function_runs(record):
    """A timer that fires waits until it is due; a cancelled one is woken by the cancel."""
    done = record(
        UNTIL_WAITING
        + """
def work():
    pass

fires = threading.Timer(0.01, work)
fires.name = "fires"
fires.start()
fires.join()
cancelled = threading.Timer(60, work)
cancelled.name = "cancelled"
cancelled.start()
until_waiting(cancelled)
cancelled.cancel()
cancelled.join()
"""
    )

    assert (done.returncode, done.problems) == (0, {}), done.stderr
    events = done.events
    of_timer = [e for e in events if e.entity is not None and e.entity.kind == "timer"]
    assert story(of_timer, "fires") == [
        "fires sync.wait event_wait",
        "fires sync.abandon event_wait timeout",
        "fires sync.set",
    ]
    assert story(of_timer, "cancelled")[:3] == [
        "cancelled sync.wait event_wait",
        "MainThread sync.set",
        "cancelled sync.await event_wait",
    ]
    (wake,) = of_kind(of_timer, "sync.await", "cancelled")
    assert cause_of(events, wake).scope.name == "MainThread"
    (step,) = [e for e in events if e.kind == "life.step" and e.scope.name == "fires"]
    assert step.site.function == "work"


def test_a_thread_is_in_the_span_that_started_it(record):
    """What it records, and the spans it opens, belong to it; also after that span ended."""
    done = record(
        """
        import threading
        import clew

        gate = threading.Event()

        def work():
            gate.wait()
            with clew.span("inner"):
                clew.event("custom", name="mark")

        with clew.span("outer"):
            thread = threading.Thread(target=work, name="worker")
            thread.start()
        gate.set()
        thread.join()
        clew.event("custom", name="after")
        """
    )

    assert (done.returncode, done.problems) == (0, {}), done.stderr
    spans = {row[-1]: row for row in done.recording.streams[0].data.spans.values()}
    numbers = {row[-1]: number for number, row in done.recording.streams[0].data.spans.items()}
    by_scope = {e.span for e in done.of("life.step", "life.thread_end", scope="worker")}
    mark, after = done.of("custom.event")
    assert by_scope == {numbers["outer"]}
    assert mark.span == numbers["inner"]
    assert numbers["outer"] in spans["inner"]
    assert after.span == 1


def test_threads_of_the_thread_module_have_an_entity(record):
    """A thread that ``threading`` knows nothing of is defined at its first event, by its function."""
    done = record(
        """
        import _thread, threading

        def work():
            event.set()
            ended.release()

        event = threading.Event()
        ended = _thread.allocate_lock()
        ended.acquire()
        _thread.start_new_thread(work, ())
        ended.acquire()
        """
    )

    (set_event,) = done.of("sync.set")
    assert (set_event.scope.kind, set_event.scope.type, set_event.site.function) == ("thread", "work", "work")
    assert set_event.scope.name != "MainThread"
    assert done.problems == {}


def test_daemon_threads_may_run_when_the_interpreter_ends(record):
    """Some wait in every primitive, one works: the program ends as it would, every time."""
    done = record(
        UNTIL_WAITING
        + """
import queue

def busy():
    lock = threading.Lock()
    while True:
        with lock:
            pass

lock, condition = threading.Lock(), threading.Condition()
lock.acquire()

def wait_for_ever():
    with condition:
        condition.wait()

waits = [lock.acquire, threading.RLock().acquire, threading.Event().wait, threading.Semaphore(0).acquire,
         queue.Queue().get, queue.SimpleQueue().get, wait_for_ever, threading.Barrier(2).wait]
held = waits[1].__self__
held.acquire()
threads = [threading.Thread(target=wait, daemon=True) for wait in waits]
for thread in threads:
    thread.start()
    until_waiting(thread)
threading.Thread(target=busy, daemon=True, name="busy").start()
print("end")
"""
    )

    assert (done.returncode, done.stdout, done.problems) == (0, "end\n", {}), done.stderr
    waits = [e.op for e in done.of("sync.wait", "sync.acquire")]
    assert waits == [
        "acquire", "acquire", "event_wait", "acquire", "get", "get", "notify_wait", "barrier_wait",
    ]  # fmt: skip


def test_threads_can_be_left_out(record):
    """``disable`` names the hooks; the program runs, nothing of it is recorded."""
    done = record(
        """
        import threading
        thread = threading.Thread(target=print, args=("ran",))
        thread.start()
        thread.join()
        """,
        env={"CLEW_DISABLE": "threading.Thread"},
    )

    assert done.stdout == "ran\n"
    assert done.of("life.thread_start", "life.thread_end", "sync.join") == []


def test_a_module_the_program_forbids_fails_no_hook(record):
    """`sys.modules[name] = None` is what tests do to try a fallback."""
    done = record(
        """
        import sys

        sys.modules["_queue"] = None
        import queue

        print(queue.SimpleQueue.__module__)
        """
    )

    assert (done.returncode, done.problems) == (0, {})
