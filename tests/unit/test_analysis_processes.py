"""Joining children to the events that started them."""

from __future__ import annotations

from clew.analysis.processes import Parentage, Process, Start, join_processes

MAIN = Process(1, "host", 100, 1, None, 0)


def child(process_id: int, pid: int, *, parent_pid: int = 100, parent=(1, 0), at: int = 20) -> Process:
    return Process(process_id, "host", pid, parent_pid, parent, at)


def test_a_forked_child_names_its_event():
    """The event in the child's head is taken as it is, with its result."""
    links = join_processes([MAIN, child(2, 101, parent=(1, 7))], [Start(1, 7, 101, 10, result_seq=9)])

    assert links == [Parentage(2, 1, 7, 9, "observed")]


def test_a_started_program_is_found_by_its_pid():
    """The last start of that pid before the child began is its own; later ones reuse the pid."""
    starts = [Start(1, 3, 101, 5), Start(1, 7, 101, 15), Start(1, 9, 101, 30), Start(1, 8, 102, 16)]

    links = join_processes([MAIN, child(2, 101)], starts)

    assert links == [Parentage(2, 1, 7, 0, "inferred")]


def test_a_program_behind_a_shell_is_found_by_the_pid_of_the_shell():
    """Its parent is the shell that the recorded process started."""
    links = join_processes([MAIN, child(2, 205, parent_pid=101)], [Start(1, 7, 101, 10, result_seq=9)])

    assert links == [Parentage(2, 1, 7, 0, "likely")]


def test_the_start_of_the_parent_is_not_taken_for_that_of_the_child():
    """A child its parent started unseen is joined to the parent only, not to the grandparent's event."""
    parent, grandchild = child(2, 101), child(3, 205, parent_pid=101, parent=(2, 0))

    links = join_processes([MAIN, parent, grandchild], [Start(1, 7, 101, 10)])

    assert links == [Parentage(2, 1, 7, 0, "inferred"), Parentage(3, 2, 0, 0, "likely")]


def test_a_program_that_becomes_another_is_its_parent():
    """After ``exec`` the pid is the same, and the process that called it is the starter."""
    links = join_processes([MAIN, child(2, 100, parent_pid=1)], [Start(1, 7, 100, 10)])

    assert links == [Parentage(2, 1, 7, 0, "inferred")]


def test_a_worker_of_a_fork_server_has_two_origins():
    """The fork in the server, and the call that asked for it."""
    server, worker = child(2, 101), child(3, 102, parent_pid=101, parent=(2, 4))
    starts = [Start(1, 7, 101, 10), Start(1, 8, 102, 12, result_seq=20), Start(2, 4, 102, 15)]

    links = join_processes([MAIN, server, worker], starts)

    assert links == [
        Parentage(2, 1, 7, 0, "inferred"),
        Parentage(3, 1, 8, 20, "inferred"),
        Parentage(3, 2, 4, 0, "observed"),
    ]


def test_a_process_that_had_ended_is_not_taken_for_one_with_its_pid():
    """A start whose result came before the child began was of an earlier process."""
    links = join_processes([MAIN, child(2, 101)], [Start(1, 7, 101, 10, result_seq=9, ended_ns=15)])

    assert links == [Parentage(2, 1, 0, 0, "likely")]


def test_the_same_pid_of_another_machine_is_another_process():
    """A start joins only processes of its own host."""
    other = Process(2, "elsewhere", 101, 100, None, 20)

    assert join_processes([MAIN, other], [Start(1, 7, 101, 10)]) == []
