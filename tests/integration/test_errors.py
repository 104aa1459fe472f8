"""What is recorded of exceptions: raised, logged, and caught by nobody."""

from __future__ import annotations

import sys

import pytest

needs_monitoring = pytest.mark.skipif(sys.version_info < (3, 12), reason="no hook sees a raise before Python 3.12")


def test_the_exception_that_ends_the_program_is_recorded(record):
    """With its traceback and the exception it came from; it happened to the process."""
    done = record(
        """
        def inner():
            return {}["token"]

        def outer():
            try:
                inner()
            except KeyError as error:
                raise ValueError("bad", "password=hunter2!") from error

        outer()
        """
    )

    (error,) = done.of("error.unhandled")
    sites = done.recording.streams[0].data.sites
    assert (error.entity.kind, error.entity.name) == ("process", "program")
    assert (error.attrs["type"], error.attrs["message"]) == ("ValueError", "bad, password=[redacted]")
    assert [sites[number][3] for number in error.attrs["stack"]] == ["outer", "<module>"]
    assert error.site.function == "outer"
    (cause,) = error.attrs["chain"]
    assert (cause["relation"], cause["type"]) == ("cause", "KeyError")
    assert [sites[number][3] for number in cause["stack"]] == ["inner", "outer"]
    assert done.events[-1].kind == "life.process_end"
    if sys.version_info >= (3, 12):
        key, value = done.of("error.raised")
        assert (key.attrs["type"], value.attrs["type"]) == ("KeyError", "ValueError")
        assert (value.cause, error.cause) == (key.seq, value.seq)


@pytest.mark.parametrize(
    "source",
    [
        "raise SystemExit('gone')",
        "import sys; sys.last_value = sys.last_exc = ValueError('shown by a console')",
        """
        import sys

        def caught():
            raise ValueError("caught")

        def runner():
            try:
                caught()
            except ValueError as error:
                sys.last_value = sys.last_exc = error

        runner()
        """,
        """
        import code
        console = code.InteractiveInterpreter()
        console.write = lambda text: None
        console.runsource("1/0")
        console.runsource("][")
        """,
    ],
)
def test_what_did_not_end_the_program_is_not_unhandled(record, source):
    """Exits, and exceptions that consoles and test runners caught and show."""
    done = record(source)

    assert not done.of("error.unhandled")
    assert not done.problems


def test_a_program_that_does_not_compile_says_so(record, plain):
    """There is no traceback then, but there is an exception."""
    source = "def f(:\n    pass\n"

    done, bare = record(source, options=("--quiet",)), plain(source)

    assert (done.returncode, done.stderr) == (bare.returncode, bare.stderr)
    assert [e.attrs["type"] for e in done.of("error.unhandled")] == ["SyntaxError"]


def test_the_programs_own_excepthook_is_left_alone(record, plain):
    """It is called as ever, and the exception recorded all the same."""
    source = """
        import sys
        sys.excepthook = lambda *parts: print("mine", parts[0].__name__)
        1 / 0
        """

    done, bare = record(source), plain(source)

    assert done.stdout == bare.stdout == "mine ZeroDivisionError\n"
    assert len(done.of("error.unhandled")) == 1


def test_a_task_nobody_asks_for_its_exception(record):
    """One error, from the raise over the end of the task to the loop's complaint."""
    done = record(
        """
        import asyncio, gc

        async def fails():
            raise OSError(5, "no luck")

        async def main():
            task = asyncio.create_task(fails(), name="lost")
            await asyncio.wait([task])
            del task
            gc.collect()

        asyncio.run(main())
        """
    )

    (raised,), (unhandled,), (log,) = done.of("error.raised"), done.of("error.unhandled"), done.of("log.record")
    assert raised.site.function == "fails"
    assert (unhandled.entity.name, unhandled.cause) == ("lost", raised.seq)
    assert unhandled.attrs["reason"] == "Task exception was never retrieved"
    assert (log.attrs["logger"], log.cause) == ("asyncio", unhandled.seq)
    assert done.of("life.task_end", entity="lost")[0].cause == raised.seq
    assert not done.of("error.handled")


LOOP_ERRORS = """
    import asyncio, sys

    def fails():
        raise ValueError("in a callback")

    async def main(own):
        loop = asyncio.get_running_loop()
        if own:
            loop.set_exception_handler(lambda loop, context: print("mine", context["message"].partition(" in ")[0]))
        loop.call_soon(fails)
        await asyncio.sleep(0.001)
        loop.call_exception_handler({"message": "said by hand"})

    factory = None
    if "uvloop" in sys.argv:
        import uvloop
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main("own" in sys.argv))
    """


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_callback_that_fails_is_an_unhandled_error(record, loop):
    """On both loops, also with a handler of the program's own; and what the program reports itself."""
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop has no build for this interpreter")

    done = record(LOOP_ERRORS, loop, "own")

    assert done.stdout == "mine Exception\nmine said by hand\n", done.stderr
    error, by_hand = done.of("error.unhandled")
    assert (error.attrs["type"], error.site.function) == ("ValueError", "fails")
    assert (by_hand.attrs["type"], by_hand.attrs["message"]) == ("", "said by hand")
    assert not done.problems


def test_the_loops_own_report_reads_as_without_clew(record, plain):
    """The default handler logs the same text and traceback."""
    done, bare = record(LOOP_ERRORS, "asyncio", options=("--quiet",)), plain(LOOP_ERRORS, "asyncio")

    assert done.stderr == bare.stderr


def test_an_exception_that_passes_boundaries_is_raised_once(record):
    """Through nested spans, a task, its awaiter and the process: one raise, each end names it."""
    done = record(
        """
        import asyncio, clew

        async def fails(error):
            with clew.span("outer"), clew.span("inner"):
                raise error

        async def main():
            for error in (ValueError("plain"), TimeoutError(), type("Own", (Exception,), {})()):
                task = asyncio.create_task(fails(error))
                try:
                    await task
                except Exception as caught:
                    assert caught is error
            await asyncio.create_task(fails(KeyError("last")))

        asyncio.run(main())
        """
    )

    raised = done.of("error.raised")
    assert [e.attrs["type"].rpartition(".")[2] for e in raised] == ["ValueError", "TimeoutError", "Own", "KeyError"]
    ends = [e for e in done.events if e.kind in ("life.span_end", "life.task_end") and e.outcome == "failed"]
    assert [e.cause for e in ends] == [e.seq for e in raised for _ in range(3)] + [raised[-1].seq]
    assert done.of("error.unhandled")[0].cause == raised[-1].seq


def test_each_of_many_like_exceptions_is_one(record):
    """A new exception at the address of an old one is not taken for it."""
    done = record(
        """
        import clew
        for error in ("TimeoutError()", "ValueError('x')", "KeyError(object())", "type('Own', (Exception,), {})()"):
            for n in range(20):
                try:
                    with clew.span("attempt"):
                        raise eval(error)
                except Exception:
                    pass
        """
    )

    assert len(done.of("error.raised")) == 80
    assert len({e.cause for e in done.of("life.span_end")}) == 80


def test_knowing_an_exception_again_does_not_keep_it_alive(record):
    """It, its frames and its attributes are freed as without clew; a pickle of it is the same."""
    done = record(
        """
        import clew, gc, pickle, weakref

        class Thing:
            pass

        class Own(Exception):
            pass

        def attempt(error):
            thing = Thing()
            freed.append(weakref.ref(thing))
            error.thing = thing
            with clew.span("attempt"):
                raise error

        freed = []
        for make in (lambda: ValueError("x"), TimeoutError, lambda: KeyError(Thing()), Own, lambda: Own("x")):
            try:
                attempt(make())
            except Exception:
                pass
        gc.collect()
        print([reference() for reference in freed])

        try:
            with clew.span("pickled"):
                raise ValueError("x", 1)
        except ValueError as error:
            print(pickle.dumps(error) == pickle.dumps(ValueError("x", 1)), vars(error))
        """
    )

    assert done.stdout == "[None, None, None, None, None]\nTrue {}\n", done.stderr


@needs_monitoring
def test_a_raise_is_recorded_where_it_reaches_user_code(record):
    """Once, at the innermost line of the program's own, with the whole stack."""
    done = record(
        """
        import json

        def parse(text):
            return json.loads(text)

        def attempt():
            try:
                parse("{")
            except ValueError:
                raise

        try:
            attempt()
        except ValueError:
            pass
        """
    )

    (error,) = done.of("error.raised")
    sites = done.recording.streams[0].data.sites
    assert (error.attrs["type"], error.site.function) == ("json.decoder.JSONDecodeError", "parse")
    assert [sites[number][3] for number in error.attrs["stack"]] == ["parse", "attempt", "<module>"]


@needs_monitoring
def test_raises_that_mean_no_error_are_left_out(record):
    """The end of an iteration, a closed generator, cancellation, exit."""
    done = record(
        """
        import asyncio

        class Numbers:
            def __iter__(self):
                return self

            def __next__(self):
                raise StopIteration

        def endless():
            while True:
                yield

        async def main():
            task = asyncio.create_task(asyncio.sleep(60))
            await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass

        list(Numbers())
        generator = endless()
        next(generator)
        generator.close()
        asyncio.run(main())
        raise SystemExit
        """
    )

    assert done.returncode == 0, done.stderr
    assert not done.of("error.raised")


@needs_monitoring
def test_a_site_that_raises_without_end_is_sampled_and_counted(record):
    """A hundred a second of one line; the next one from there says how many were left out."""
    done = record(
        """
        import time

        def attempt():
            try:
                {}["x"]
            except KeyError:
                pass

        for _ in range(1000):
            attempt()
        time.sleep(1.05)
        for _ in range(64):
            attempt()
        try:
            {}["y"]
        except KeyError:
            pass
        """
    )

    raised = done.of("error.raised")
    counts = [e.attrs.get("left_out", 0) for e in raised if e.site.function == "attempt"]
    assert 100 <= len(counts) < 300
    assert len(counts) + sum(counts) >= 1000
    assert raised[-1].site.function == "<module>"


@needs_monitoring
def test_watching_raises_leaves_other_tools_alone(record):
    """The numbers of debugger, coverage and profiler stay free; without a free one, nothing is watched."""
    done = record(
        """
        import sys
        monitoring = sys.monitoring
        print([monitoring.get_tool(number) for number in range(6)])
        """
    )
    taken = record(
        """
        import sys
        from clew.probe.seams import errors
        errors._unwatch(ValueError("for the test"))
        for number in errors.TOOL_IDS:
            sys.monitoring.use_tool_id(number, "another")
        errors._watch()
        try:
            {}["x"]
        except KeyError:
            pass
        """
    )

    tools = eval(done.stdout)
    assert [tools[number] for number in (0, 1, 2, 5)] == [None] * 4
    assert "clew errors" in tools
    assert taken.returncode == 0, taken.stderr
    assert not taken.of("error.raised")


@needs_monitoring
def test_watching_raises_can_be_left_out(record):
    """``disable = errors.raised``: an error is then recorded where it crosses a boundary."""
    done = record(
        """
        import clew
        try:
            with clew.span("step"):
                {}["x"]
        except KeyError:
            pass
        try:
            {}["x"]
        except KeyError:
            pass
        """,
        options=("--disable", "errors.raised"),
    )

    assert len(done.of("error.raised")) == 1


def test_a_bug_of_a_hook_never_reaches_the_program(record):
    """The program's errors are its own, whatever goes wrong in recording them."""
    done = record(
        """
        import asyncio
        from clew.probe import errors

        def broken(*arguments, **keywords):
            raise RuntimeError("bug of clew")

        errors.describe = errors.recall = broken

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: print(context["exception"]))
            loop.call_soon(lambda: [][0])
            await asyncio.sleep(0)
            try:
                await asyncio.create_task(asyncio.sleep("x"))
            except TypeError:
                print("caught")

        asyncio.run(main())
        try:
            {}["x"]
        except KeyError as error:
            print(repr(error), error.__context__)
        """
    )

    assert done.stdout == "list index out of range\ncaught\nKeyError('x') None\n", done.stderr
    assert "errors.loop" in done.problems
