"""What is recorded of child processes: who started them, who waited, how they ended."""

from __future__ import annotations

import sys

import pytest
from conftest import Recorded, await_rings

from clew.analysis.processes import Process, Start, join_processes


def streams_by_pid(done: Recorded) -> dict[int, str]:
    return {stream.process["pid"]: stream.id for stream in done.recording.streams}


def origins(done: Recorded) -> dict[str, list[tuple[str, int, str]]]:
    """By process: the (process, seq, confidence) of the events that led to it."""
    processes, starts = [], []
    results = {(e.process, e.attrs["pid"]): e for e in done.of("effect.result") if "pid" in e.attrs}
    for stream in done.recording.streams:
        head = stream.process
        parent = (int(head["parent"][0], 16), head["parent"][1]) if "parent" in head else None
        processes.append(
            Process(stream.process_id, head["host"], head["pid"], head["parent_pid"], parent, head["monotonic_ns"])
        )
    for e in done.of("effect.call"):
        if "pid" in e.attrs:
            result = results.get((e.process, e.attrs["pid"]))
            ended = (result.seq, result.t_ns) if result else (0, 0)
            starts.append(Start(int(e.process, 16), e.seq, e.attrs["pid"], e.t_ns, *ended))
    found: dict[str, list[tuple[str, int, str]]] = {}
    for link in join_processes(processes, starts):
        found.setdefault(f"{link.child:016x}", []).append((f"{link.parent:016x}", link.seq, link.confidence))
    return found


def test_a_subprocess_is_a_call_a_wait_and_a_result(record):
    """The call has the redacted command, the result the exit code, the join how long it took."""
    done = record(
        """
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-S", "-c", "input(); raise SystemExit(3)", "--password", "hunter2"],
                                 stdin=subprocess.PIPE, cwd="/")
        try:
            child.wait(0.01)
        except subprocess.TimeoutExpired:
            pass
        child.communicate(b"\\n")
        child.wait()
        """
    )

    assert done.returncode == 0, done.stderr
    call, wait, abandon, wait_2, result, join = [
        e for e in done.events if e.entity is not None and e.entity.name.startswith("python")
    ]
    assert (call.kind, call.op, call.site.line) == ("effect.call", "subprocess", 3)
    assert call.attrs["argv"][-2:] == ["--password", "[redacted]"]
    assert call.attrs["cwd"] == "/"
    assert (wait.kind, wait.op, abandon.kind, abandon.outcome) == ("sync.wait", "join", "sync.abandon", "timeout")
    assert abandon.wait_ns >= 10_000_000
    assert (wait_2.kind, result.kind, result.outcome) == ("sync.wait", "effect.result", "failed")
    assert result.attrs == {"pid": call.attrs["pid"], "returncode": 3}
    assert result.span == call.span
    assert result.cause == call.seq
    assert (join.kind, join.op, join.outcome, join.cause) == ("sync.join", "join", "ok", result.seq)
    assert join.wait_ns > 0


def test_a_command_that_does_not_exist_is_a_failed_call(record):
    """The error names where the program asked for it; it is raised as without clew."""
    done = record(
        """
        import subprocess, traceback
        try:
            subprocess.run(["no-such-command"])
        except FileNotFoundError as error:
            print([frame.name for frame in traceback.extract_tb(error.__traceback__)])
        """
    )

    assert done.stdout == "['<module>', 'run', '__init__', '_execute_child']\n"
    (call,), (result,) = done.of("effect.call"), done.of("effect.result")
    assert (call.attrs, result.outcome) == ({"argv": ["no-such-command"]}, "failed")
    (error,) = done.of("error.raised")
    assert (error.attrs["type"], error.site.line, result.cause) == ("FileNotFoundError", 4, error.seq)
    assert not done.problems


def test_children_are_joined_to_what_started_them(record):
    """A program started directly, one behind a shell, and a forked one."""
    done = record(
        """
        import os, subprocess, sys
        python = [sys.executable, "-c", "pass"]
        subprocess.run(python)
        subprocess.run(f"{sys.executable} -c pass; true", shell=True)
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        subprocess.run(python, env={})
        """
    )

    main = done.recording.streams[0].id
    direct, shell, fork, unrecorded = done.of("effect.call")
    assert [e.op for e in (direct, shell, fork, unrecorded)] == ["subprocess", "subprocess", "fork", "subprocess"]
    assert [origins(done).get(stream.id) for stream in done.recording.streams] == [
        None,
        [(main, direct.seq, "inferred")],
        [(main, shell.seq, "likely")],
        [(main, fork.seq, "observed")],
    ]
    child = streams_by_pid(done)[fork.attrs["pid"]]
    (start,) = [e for e in done.of("life.process_start") if e.process == child]
    assert start.remote_cause == (int(main, 16), fork.seq)
    assert fork.entity.kind == "process"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_tells_of_start_join_error_and_end(record, method):
    """All start methods: the call, the wait, the exit code; in the child its name, its error, its end."""
    done = record(
        """
        import multiprocessing, sys

        def work(fails):
            if fails:
                raise ValueError("no luck")

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            good = context.Process(target=work, args=(False,), name="good")
            bad = context.Process(target=work, args=(True,), name="bad")
            for process in good, bad:
                process.start()
            for process in good, bad:
                process.join()
                print(process.is_alive(), process.exitcode)
        """,
        method,
    )

    assert done.stdout == "False 0\nFalse 1\n", done.stderr
    assert not done.problems
    main = done.recording.streams[0].id
    of_pid = streams_by_pid(done)
    for name, code in (("good", 0), ("bad", 1)):
        (call,) = done.of("effect.call", entity=name)
        (result,) = done.of("effect.result", entity=name)
        assert (call.op, call.attrs["method"]) == ("fork" if method == "fork" else "spawn", method)
        assert call.attrs["target"] == "work"
        assert result.attrs["returncode"] == code
        joins = [e.kind for e in done.events if e.process == main and e.entity and e.entity.name == name]
        assert joins[-1] == "sync.join"
        child = of_pid[call.attrs["pid"]]
        assert (main, call.seq) in [link[:2] for link in origins(done)[child]]
        starts = [e for e in done.of("life.process_start") if e.process == child]
        assert starts[0].entity.name == name
        (end,) = [s.end for s in done.recording.streams if s.id == child]
        assert end["reason"] == "exit"
        assert [e.kind for e in done.events if e.process == child][-1] == "life.process_end"
    (error,) = done.of("error.unhandled")
    assert (error.process, error.entity.name) == (of_pid[done.of("effect.call", entity="bad")[0].attrs["pid"]], "bad")
    assert (error.attrs["type"], error.site.function) == ("ValueError", "work")


def test_a_traceback_of_a_worker_reads_as_without_clew(record, plain):
    """What ``multiprocessing`` prints of an exception in a child has no frame of clew's."""
    source = """
        import multiprocessing

        def work():
            raise ValueError("no luck")

        if __name__ == "__main__":
            process = multiprocessing.get_context("fork").Process(target=work)
            process.start()
            process.join()
        """

    done, bare = record(source, options=("--quiet",)), plain(source)

    assert done.stderr == bare.stderr


def test_a_pool_is_recorded_through_its_workers(record):
    """Each worker of a pool and of an executor is a child that was started here."""
    done = record(
        """
        import multiprocessing, concurrent.futures as futures

        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            with context.Pool(1) as pool:
                print(pool.map(abs, [-1]))
            with futures.ProcessPoolExecutor(1, context) as executor:
                print(list(executor.map(abs, [-2])))
        """
    )

    assert done.stdout == "[1]\n[2]\n", done.stderr
    calls = done.of("effect.call")
    assert [e.op for e in calls] == ["fork", "fork"]
    assert {e.attrs["pid"] for e in calls} == set(streams_by_pid(done)) - {done.recording.streams[0].process["pid"]}
    assert not done.problems


def test_asyncio_subprocesses_tell_which_task_waits(record):
    """The wait and the join are the task's, the result comes from the loop's child watcher."""
    done = record(
        """
        import asyncio

        async def main():
            child = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
            waiter = asyncio.create_task(child.wait(), name="waiter")
            await asyncio.sleep(0)
            child.stdin.close()
            print(await waiter, await child.wait())
            shell = await asyncio.create_subprocess_shell("exit 3")
            await shell.communicate()
            print(shell.returncode)

        asyncio.run(main())
        """
    )

    assert done.stdout == "0 0\n3\n", done.stderr
    (call,) = done.of("effect.call", entity="cat")
    (wait,) = done.of("sync.wait", scope="waiter")
    (join,) = done.of("sync.join", scope="waiter")
    (result,) = done.of("effect.result", entity="cat")
    assert call.site.function == "main"
    assert (wait.op, join.op, wait.entity.name, join.entity.name, join.cause) == (
        "join", "join", "cat", "cat", result.seq,
    )  # fmt: skip
    (failed,) = done.of("effect.result", entity="sh")
    assert (failed.outcome, failed.attrs["returncode"]) == ("failed", 3)
    assert not done.problems


def test_a_cancelled_wait_for_a_subprocess_is_abandoned(record):
    """``wait_for`` around ``wait`` ends the wait, not the child."""
    done = record(
        """
        import asyncio

        async def main():
            child = await asyncio.create_subprocess_exec("sleep", "60")
            task = asyncio.create_task(child.wait(), name="waiter")
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])
            child.kill()
            await child.wait()

        asyncio.run(main())
        """
    )

    (abandon,) = done.of("sync.abandon", scope="waiter")
    (result,) = done.of("effect.result", entity="sleep")
    assert (abandon.op, abandon.outcome) == ("join", "cancelled")
    assert (result.attrs["returncode"], result.attrs["signal"]) == (-9, "SIGKILL")


def test_uvloop_subprocesses_are_recorded_too(record):
    """uvloop starts its children in C: call, wait, join and result are there all the same."""
    pytest.importorskip("uvloop", reason="uvloop has no build for this interpreter")
    done = record(
        """
        import asyncio, uvloop

        async def main():
            child = await asyncio.create_subprocess_exec("sh", "-c", "read x; exit 4", stdin=asyncio.subprocess.PIPE)
            waiter = asyncio.create_task(child.wait(), name="waiter")
            await asyncio.sleep(0)
            child.stdin.close()
            print(await waiter)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
        """
    )

    assert done.stdout == "4\n", done.stderr
    (call,), (result,) = done.of("effect.call"), done.of("effect.result")
    assert (call.attrs["argv"], result.attrs["returncode"]) == (["sh", "-c", "read x; exit 4"], 4)
    assert [e.kind for e in done.events if e.op == "join" and e.scope.name == "waiter"] == ["sync.wait", "sync.join"]
    assert not done.problems


def test_functions_of_os_tell_of_their_children(record):
    """``posix_spawn``, ``system``, and the functions that reap."""
    done = record(
        """
        import os
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 5"], os.environ)
        assert os.waitid(os.P_PID, pid, os.WEXITED).si_status == 5
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", "kill -9 $$"], os.environ)
        assert os.wait()[0] == pid
        print(os.waitstatus_to_exitcode(os.system("exit 6")))
        try:
            os.waitpid(-1, 0)
        except ChildProcessError as error:
            print(error.__traceback__.tb_next)
        """
    )

    assert done.stdout == "6\nNone\n", done.stderr
    assert [e.attrs["argv"][-1] for e in done.of("effect.call")] == ["exit 5", "kill -9 $$", "exit 6"]
    assert [e.attrs["returncode"] for e in done.of("effect.result")] == [5, -9, 6]
    assert not done.problems


def test_a_child_that_executes_another_program_ends_there(record):
    """The stream ends with the call of exec, and the program it became names it."""
    done = record(
        """
        import os, sys
        if os.fork() == 0:
            os.execvp("sh", ["sh", "-c", "exit 0"])
        os.wait()
        try:
            os.execv("/no/such/program", ["x"])
        except FileNotFoundError:
            pass
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-c", "print('became')"])
        """
    )

    assert done.stdout == "became\n", done.stderr
    main, child, became = done.recording.streams
    execs = [e for e in done.of("effect.call") if e.op == "exec"]
    assert [e.process for e in execs] == [main.id, child.id]
    assert [stream.end.get("reason") for stream in (main, child, became)] == ["exec", "exec", "exit"]
    assert became.process["pid"] == main.process["pid"]
    assert origins(done)[became.id] == [(main.id, execs[0].seq, "inferred")]


def test_a_killed_child_keeps_what_it_recorded(record):
    """Everything up to the instant of SIGKILL is in its stream; the parent knows the signal."""
    done = record(
        """
        import clew, os, signal
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            for n in range(500):
                clew.event("custom", n=n)
            os.write(write, b"x")
            signal.pause()
        os.read(read, 1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        """
    )

    assert [e.attrs["n"] for e in done.of("custom.event")] == list(range(500))
    (result,) = done.of("effect.result")
    assert result.attrs["signal"] == "SIGKILL"
    assert "reason" not in done.recording.streams[1].end


def test_a_daemon_is_recorded_after_its_program_ended(record):
    """A double fork: ``clew run`` returns, and a sidecar records what the grandchild does."""
    done = record(
        """
        import clew, os, time
        supervisor = os.getppid()
        is_there, begun = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(begun, b".")
                null = os.open(os.devnull, os.O_RDWR)
                for fd in range(3):
                    os.dup2(null, fd)
                while os.path.exists(f"/proc/{supervisor}"):
                    time.sleep(0.01)
                clew.event("custom", name="on its own")
            os._exit(0)
        os.wait()
        os.read(is_there, 1)
        """
    )

    assert done.returncode == 0, done.stderr
    assert "[still-running]" in done.stderr
    await_rings(done.path)
    (event,) = done.of("custom.event")
    assert event.attrs["name"] == "on its own"
    main, middle, daemon = done.recording.streams
    forks = [e for e in done.of("effect.call") if e.op == "fork"]
    assert [stream.process["parent"] for stream in (middle, daemon)] == [
        [main.id, forks[0].seq], [middle.id, forks[1].seq],
    ]  # fmt: skip
    assert event.process == daemon.id


def test_many_short_children_leave_nothing_behind(record):
    """Fifty children that end at once: each has its stream, none its ring."""
    done = record(
        """
        import os
        children = []
        for code in range(50):
            pid = os.fork()
            if not pid:
                os._exit(code)
            children.append(pid)
        print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == list(range(50)))
        """
    )

    assert done.stdout == "True\n", done.stderr
    assert len(done.recording.streams) == 51
    assert sorted(e.attrs["returncode"] for e in done.of("effect.result")) == list(range(50))
    assert all(len(links) == 1 and links[0][2] == "observed" for links in origins(done).values())
    assert "dropped" not in done.stderr


def test_a_fork_does_not_mix_two_recordings(record):
    """A child forked inside a loop step, a span and another thread's lock goes on as itself."""
    done = record(
        """
        import asyncio, clew, os, sys, threading

        lock = threading.Lock()
        held, done = threading.Event(), threading.Event()

        def hold():
            with lock:
                held.set()
                done.wait()

        async def step():
            with clew.span("work"):
                pid = os.fork()
                if not pid:
                    asyncio.events._set_running_loop(None)
                    with clew.span("in the child"):
                        clew.event("custom", who="child")
                    os._exit(0)
                os.waitpid(pid, 0)
                clew.event("custom", who="parent")

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        asyncio.run(step())
        done.set()
        thread.join()
        """,
        env={"PYTHONWARNINGS": "ignore"},
    )

    assert done.returncode == 0, done.stderr
    main, child = done.recording.streams
    of_child = [e for e in done.events if e.process == child.id]
    assert [e.kind for e in of_child] == [
        "life.process_start", "life.run_start", "life.span_start", "custom.event", "life.span_end",
    ]  # fmt: skip
    assert {e.span for e in of_child} <= set(child.data.spans)
    assert {e.scope.name for e in of_child} == {"MainThread"}
    (parents,) = [e for e in done.of("custom.event") if e.process == main.id]
    assert main.data.spans[parents.span][-1] == "work"
    steps = [e for e in done.of("life.step") if e.scope.type == "step"]
    assert steps
    assert all(e.process == main.id for e in steps)
    assert not [e for e in done.events if e.kind == "gap.dropped"]
    assert not done.problems


def test_a_child_that_leaves_the_step_it_was_forked_in_ends_nothing_of_its_parents(record):
    """``sys.exit`` in a child of a coroutine unwinds the parent's frames: no events of theirs."""
    done = record(
        """
        import asyncio, os, sys

        async def main():
            pid = os.fork()
            if not pid:
                sys.exit(0)
            os.waitpid(pid, 0)

        asyncio.run(main())
        """
    )

    assert done.returncode == 0, done.stderr
    child = done.recording.streams[1]
    of_child = [e for e in done.events if e.process == child.id]
    assert set(child.data.columns["scope"]) | set(child.data.columns["entity"]) <= {0, *child.data.entities}
    began = {e.entity.id for e in of_child if e.kind == "life.task_start"}
    assert {e.entity.id for e in of_child if e.kind == "life.task_end"} <= began
    assert not done.problems


def test_forks_in_threads_lose_no_event_of_the_parent(record):
    """While one thread forks, the events of the others are let in, and the gate opens again."""
    done = record(
        """
        import clew, os, threading

        def emit():
            for n in range(300):
                clew.event("custom", n=n)

        def fork():
            for _ in range(5):
                pid = os.fork()
                if not pid:
                    os._exit(0)
                os.waitpid(pid, 0)

        threads = [threading.Thread(target=target) for target in (emit, emit, fork, fork)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """,
        env={"PYTHONWARNINGS": "ignore"},
    )

    assert done.returncode == 0, done.stderr
    main = done.recording.streams[0]
    assert sorted(e.attrs["n"] for e in done.of("custom.event")) == sorted([*range(300)] * 2)
    assert main.end["dropped"] == 0
    assert len(done.recording.streams) == 11


def test_children_may_be_left_out(record):
    """``children = off``: forked, spawned and started ones run unrecorded."""
    done = record(
        """
        import os, subprocess, sys
        if not os.fork():
            import clew
            clew.event("custom", who="child")
            os._exit(0)
        os.wait()
        print(subprocess.run([sys.executable, "-c", "import clew; print(clew.is_recording())"],
                             capture_output=True, text=True).stdout)
        """,
        env={"CLEW_CHILDREN": "off"},
    )

    assert done.stdout.strip() == "False", done.stderr
    assert len(done.recording.streams) == 1
    assert not done.of("custom.event")


def test_preexec_functions_run_unrecorded(record):
    """The instant between fork and exec has no stream of its own."""
    done = record(
        """
        import subprocess, sys
        subprocess.run([sys.executable, "-S", "-c", ""], preexec_fn=lambda: None)
        """
    )

    assert done.returncode == 0, done.stderr
    assert len(done.recording.streams) == 1


@pytest.mark.skipif(sys.version_info < (3, 12), reason="forks warn from Python 3.12 on")
def test_a_fork_warns_where_the_program_forks(record, plain):
    """The warning of a fork beside threads names the program's line, and is shown or not as without clew."""
    source = """
        import os, threading
        event = threading.Event()
        thread = threading.Thread(target=event.wait)
        thread.start()
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        event.set()
        """

    done, bare = record(source, options=("--quiet",)), plain(source)

    def without_pid(text: str) -> str:
        return text.partition("(pid=")[0] + text.partition(")")[2]

    assert "DeprecationWarning" in bare.stderr
    assert without_pid(done.stderr) == without_pid(bare.stderr)


def test_hooked_functions_look_like_the_original(record, plain):
    """Names, documentation, signatures, and the errors of misuse."""
    source = """
        import inspect, multiprocessing.process, os, pickle, subprocess
        for function in (os.fork, os.waitpid, os.posix_spawn, os.system, subprocess.Popen.wait,
                         subprocess.Popen.communicate, multiprocessing.process.BaseProcess.start):
            print(function.__name__, function.__qualname__, function.__module__, inspect.signature(function),
                  bool(function.__doc__))
        for call in (lambda: os.waitpid("x", 0), lambda: os.posix_spawn(1), lambda: os.system(),
                     lambda: subprocess.Popen([]), lambda: subprocess.Popen(1)):
            try:
                call()
            except Exception as error:
                print(type(error).__name__, error)
        print(pickle.loads(pickle.dumps(os.getpid)) is os.getpid, isinstance(subprocess.Popen("true"), subprocess.Popen))
        """

    done, bare = record(source, options=("--quiet",)), plain(source)

    assert done.stdout == bare.stdout, done.stderr
    assert not done.problems


def test_a_bug_of_a_hook_never_reaches_the_program(record):
    """Each group of hooks is switched off at its first failure; the program's children run as ever."""
    done = record(
        """
        import os, subprocess, multiprocessing
        from clew.probe.seams import processes

        def broken(*arguments, **keywords):
            raise RuntimeError("bug of clew")

        processes.begin = processes.exited = processes.has_exited = broken
        print(subprocess.run(["echo", "one"], capture_output=True, text=True).stdout)
        child = multiprocessing.get_context("fork").Process(target=print, args=("two",))
        child.start()
        child.join()
        pid = os.fork()
        if not pid:
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.system("exit 0"))
        """,
        env={"PYTHONUNBUFFERED": "1"},
    )

    assert done.stdout == "one\n\ntwo\n7 0\n", done.stderr
    assert {"subprocess", "multiprocessing", "os.processes"} <= set(done.problems)
    assert not done.of("effect.call")
