"""What is recorded of log records."""

from __future__ import annotations

import pytest


def test_a_record_has_logger_level_message_and_place(record):
    """The message is formatted and redacted; the place is the line that logs."""
    done = record(
        """
        import logging

        def sell(count):
            logging.getLogger("shop.sales").warning("sold %d of %s, token=%s", count, "apples", "abcdefgh12345")
            logging.getLogger("shop").log(35, "in between")

        sell(3)
        """
    )

    warning, between = done.of("log.record")
    assert warning.arg == 30
    assert warning.attrs == {"logger": "shop.sales", "message": "sold 3 of apples, token=[redacted]"}
    assert (warning.site.function, warning.site.line) == ("sell", 5)
    assert (between.arg, between.attrs["message"]) == (35, "in between")


@pytest.mark.parametrize(
    ("level", "expected"),
    [(None, [30, 40]), ("DEBUG", [10, 30, 40]), ("ERROR", [40]), ("OFF", [])],
)
def test_the_setting_says_from_which_level_on(record, level, expected):
    """Below it nothing is recorded; what the loggers let through is their own affair."""
    done = record(
        """
        import logging
        log = logging.getLogger("x")
        log.setLevel(logging.DEBUG)
        for level in (10, 30, 40):
            log.log(level, "here")
        """,
        options=("--log-level", level) if level else (),
    )

    assert [e.arg for e in done.of("log.record")] == expected


def test_what_does_not_get_through_is_not_recorded(record, plain):
    """Levels, filters, disabled loggers and ``logging.disable`` decide, and are asked once."""
    source = """
        import logging, sys

        class Even(logging.Filter):
            def filter(self, record):
                print("asked", record.args)
                return record.args[0] % 2 == 0

        log = logging.getLogger("x")
        log.addFilter(Even())
        for n in range(3):
            log.warning("number %d", n)
        quiet = logging.getLogger("quiet")
        quiet.setLevel(logging.ERROR)
        quiet.warning("too low")
        quiet.disabled = True
        quiet.error("disabled")
        logging.disable()
        log.critical("number %d", 8)
        """

    done, bare = record(source, options=("--quiet",)), plain(source)

    assert (done.stdout, done.stderr) == (bare.stdout, bare.stderr)
    assert [e.attrs["message"] for e in done.of("log.record")] == ["number 0", "number 2"]


def test_no_code_of_the_program_runs_for_a_record(record):
    """Arguments that are not plain values are told beside the template, by their type."""
    done = record(
        """
        import logging

        class Counted(str):
            calls = 0

            def __str__(self):
                Counted.calls += 1
                return "counted"

            __repr__ = __format__ = __mod__ = __str__

        class Record(logging.LogRecord):
            @property
            def msg(self):
                Counted.calls += 1
                return self.__dict__["msg"]

            @msg.setter
            def msg(self, value):
                self.__dict__["msg"] = value

        class Handler(logging.Handler):
            def handle(self, record):
                pass

        log = logging.getLogger("x")
        log.addHandler(Handler())
        log.propagate = False
        log.warning("%s and %r", Counted(), [1, {"password": "hunter2"}])
        log.warning(Counted("a template"))
        log.warning(Counted("a template %s"), 1)
        log.warning("%(who)s", {"who": "by name"})
        log.warning("%d of it", "no number")
        log.warning("%*d", 50_000, 1)
        log.warning("%5000d", 1)
        log.warning("100%")
        log.warning("x" * 100_000)
        log.warning("%s", "y" * 100_000)
        logging.setLogRecordFactory(Record)
        log.warning("of a class of its own")
        print(Counted.calls)
        """
    )

    assert done.stdout == "0\n", done.stderr
    events = [e.attrs for e in done.of("log.record")]
    assert events[0]["message"] == "%s and %r"
    assert events[0]["arguments"] == ["<__main__.Counted>", [1, {"password": "[redacted]"}]]
    assert [e["message"] for e in events[1:3]] == ["<__main__.Counted>"] * 2
    assert events[3] == {"logger": "x", "message": "by name"}
    assert events[4] == {"logger": "x", "message": "%d of it", "arguments": ["no number"]}
    assert [e["message"] for e in events[5:8]] == ["%*d", "%5000d", "100%"]
    assert all(len(e["message"]) < 600 for e in events)
    assert events[-1]["message"] == "of a class of its own"
    assert not done.problems


def test_a_logged_exception_is_a_handled_error(record):
    """The error names its type and place and is the cause of the record; so is ``exc_info``."""
    done = record(
        """
        import logging
        log = logging.getLogger("x")
        logging.raiseExceptions = False

        def fails():
            raise ValueError("no luck")

        for how in (lambda: log.exception("first"), lambda: log.warning("second", exc_info=True)):
            try:
                fails()
            except ValueError:
                how()
        log.warning("third", exc_info=True)
        """
    )

    handled, records = done.of("error.handled"), done.of("log.record")
    assert [e.attrs["type"] for e in handled] == ["ValueError"] * 2
    assert [e.site.function for e in handled] == ["fails"] * 2
    assert [e.cause for e in records] == [handled[0].seq, handled[1].seq, 0]
    raised = done.of("error.raised")
    assert [e.cause for e in handled] == ([e.seq for e in raised] or [0, 0])


def test_loggers_find_their_caller_as_without_clew(record, plain):
    """``stacklevel``, ``findCaller`` and the text of a logged traceback are the same."""
    source = """
        import logging, sys
        logging.basicConfig(format="%(filename)s:%(lineno)d %(funcName)s %(message)s", stream=sys.stdout)
        log = logging.getLogger("x")

        def helper():
            log.warning("one")
            log.warning("two", stacklevel=2)
            log.warning("stack", stack_info=True)
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception("error")

        def caller():
            helper()

        caller()
        """

    done, bare = record(source, options=("--quiet",)), plain(source)

    assert done.stdout == bare.stdout
    assert done.returncode == 0, done.stderr


def test_an_exception_of_a_handler_reaches_the_program(record, plain):
    """With the same traceback."""
    source = """
        import logging

        class Broken(logging.Handler):
            def handle(self, record):
                raise OSError("full")

        log = logging.getLogger("x")
        log.addHandler(Broken())
        log.warning("lost")
        """

    done, bare = record(source, options=("--quiet",)), plain(source)

    assert (done.returncode, done.stderr) == (bare.returncode, bare.stderr)
    assert len(done.of("log.record")) == 1


def test_subclasses_and_records_made_by_hand_are_seen(record):
    """Whatever goes through ``Logger.handle``, with a level that is a number."""
    done = record(
        """
        import logging, pickle

        class Own(logging.Logger):
            pass

        logging.setLoggerClass(Own)
        log = logging.getLogger("own")
        log.propagate = False
        log.addHandler(logging.NullHandler())
        log.warning("of a subclass")
        log.handle(logging.makeLogRecord({"name": "far", "levelno": 40, "msg": "sent here"}))
        log.handle(logging.makeLogRecord({"name": "far", "levelno": 40.5, "msg": "odd"}))
        print(pickle.loads(pickle.dumps(log)) is log, logging.Logger.callHandlers.__qualname__)
        """
    )

    assert done.stdout == "True Logger.callHandlers\n", done.stderr
    assert [e.attrs for e in done.of("log.record")] == [
        {"logger": "own", "message": "of a subclass"},
        {"logger": "far", "message": "sent here"},
    ]
    assert not done.problems


def test_a_bug_of_a_hook_never_reaches_the_program(record):
    """The record goes its way, and the hook is switched off."""
    done = record(
        """
        import logging, sys
        from clew.probe.seams import logs

        def broken(*arguments):
            raise RuntimeError("bug of clew")

        logs._message = broken
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        logging.warning("one")
        logging.warning("two")
        """
    )

    assert done.stdout == "one\ntwo\n", done.stderr
    assert set(done.problems) == {"logging"}
    assert not done.of("log.record")
