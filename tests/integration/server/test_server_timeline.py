"""Timelines, threads of causes and source over HTTP, of what is stored."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from tests.support.recordings import WALL_NS, Process, write
from tests.unit.test_causes import Handover

from clew.analysis.runs import runs_of
from clew.analysis.timeline import timelines_of
from clew.convert.columns import MEDIA_TYPE, decode_columns
from clew.format.reader import open_recording
from clew.model.kinds import EventKind, SpanRole
from clew.server import library as library_module
from clew.server.errors import HttpError
from clew.server.library import Library
from clew.store import schema
from clew.store.ingest import check_chunks
from clew.store.store import Store
from clew.store.writer import IngestRequest

KEY = "k" * 40
RUN = f"{7:016x}{9:016x}"


def put(store: Store, folder: Path) -> None:
    """Store a recording, and what an index would say of its runs."""
    recording = open_recording(folder)
    for stream in recording.streams:
        store.writer.submit(IngestRequest(check_chunks(stream.path.read_bytes()))).result(20)
    timelines = timelines_of(recording)
    with store.engine.begin() as connection:
        for run in runs_of(timelines):
            connection.execute(
                insert(schema.runs).values(
                    run_id=run.id, name=run.name, service=run.service, services="[]", process_id=run.process,
                    entry=run.entry, status=run.status, started_ns=WALL_NS + run.start_ns, duration_ns=run.duration_ns,
                    events=run.events, errors=run.errors, spans=len(run.spans), processes=1, revision=store.revision,
                )
            )  # fmt: skip
            for position in {span.process for span in run.spans}:
                process = timelines[position].stream.id
                connection.execute(insert(schema.run_parts).values(run_id=run.id, process_id=process, document="{}"))


class Bank(Handover):
    """Two tasks and a lock, in a process's own run."""

    def __init__(self, *more, **head):
        super().__init__(*more)
        run = self.span("bank", role=SpanRole.RUN)
        self.event(0, EventKind.LIFE_RUN_START, self.main, entity=self.process, span=run)
        self.head |= head


@pytest.fixture
def far(make_client):
    """A client of a server that other machines reach."""
    client = make_client(host="0.0.0.0", key=KEY, hosts=("127.0.0.1",))
    client.headers["Authorization"] = f"Bearer {KEY}"
    return client


@pytest.fixture
def client(make_client, store, tmp_path):
    """A client of a server in which the bank is stored."""
    put(store, write(tmp_path / "r.clew", Bank()))
    return make_client()


def test_a_timeline_is_what_is_stored(client):
    """Its head tells of the run, its columns of what happened."""
    answer = client.get(f"/api/v1/runs/{RUN}/timeline")

    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPE)
    head, tables = decode_columns(answer.content)
    assert (head["run"], head["running"], head["processes"][0]["service"]) == (RUN, False, "bank")
    assert head["started_at"].endswith("Z")
    assert [lane["name"] for lane in head["lanes"]] == ["MainThread", "b", "a"]
    assert len(tables["blocks"]["start"]) == head["tables"]["blocks"]["count"] > 8


def test_a_timeline_is_sent_again_only_when_it_has_changed(client, store, tmp_path):
    """The tag is that of a revision."""
    first = client.get(f"/api/v1/runs/{RUN}/timeline")

    again = client.get(f"/api/v1/runs/{RUN}/timeline", headers={"If-None-Match": first.headers["etag"]})
    with store.engine.begin() as connection:
        connection.execute(update(schema.runs).values(revision=10**6))
    changed = client.get(f"/api/v1/runs/{RUN}/timeline", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert (changed.status_code, decode_columns(changed.content)[0]["revision"]) == (200, 10**6)


def test_a_timeline_is_compressed_for_those_who_ask_from_afar(client, far):
    """Within one machine it is not."""
    near = client.get(f"/api/v1/runs/{RUN}/timeline", headers={"Accept-Encoding": "gzip"})
    answer = far.get(f"/api/v1/runs/{RUN}/timeline", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    refused = far.get(f"/api/v1/runs/{RUN}/timeline", headers={"Accept-Encoding": "gzip;q=0"})

    assert "content-encoding" not in near.headers
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == near.content == refused.content  # httpx decompresses
    assert "content-encoding" not in refused.headers


def test_an_unknown_run_is_said_to_be(client):
    """With a slug and what to do."""
    answer = client.get(f"/api/v1/runs/{'ab' * 16}/timeline")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "run-missing"
    assert client.get("/api/v1/runs/../timeline").status_code == 404
    assert client.get(f"/api/v1/runs/{RUN[:-1]}G/timeline").status_code == 422


def test_a_thread_names_events_and_their_blocks(client):
    """From where it began to the event."""
    bank = Bank()
    head, tables = decode_columns(client.get(f"/api/v1/runs/{RUN}/timeline").content)

    answer = client.get(f"/api/v1/runs/{RUN}/events/00000000000000a1/{bank.after}/thread").json()

    assert (answer["begins"], answer["truncated"]) == ("process-start", False)
    assert [step["how"] for step in answer["steps"]] == ["program-order", "spawn", "wake", "program-order", ""]
    released = answer["steps"][2]
    assert released["text"] == "a released Account.lock"
    assert (released["seq"], released["kind"], released["scope"], released["entity"]) == (
        bank.released, "sync.release", "a", "lock Account.lock",
    )  # fmt: skip
    assert released["waited_ns"] == answer["steps"][3]["t_ns"] - released["t_ns"] == 26_000
    blocks, labels = tables["blocks"], head["labels"]
    assert labels[blocks["label"][released["block"]]] == "a"
    assert labels[blocks["label"][answer["steps"][3]["block"]]] == "wait lock Account.lock"
    assert blocks["scope"][answer["steps"][4]["block"]] == bank.b


def test_a_thread_of_nothing_is_refused(client):
    """An event that is not recorded, a process that has no part in the run."""
    event = client.get(f"/api/v1/runs/{RUN}/events/00000000000000a1/9999/thread")
    process = client.get(f"/api/v1/runs/{RUN}/events/00000000000000ff/1/thread")

    assert (event.status_code, event.json()["error"]["code"]) == (404, "event-missing")
    assert (process.status_code, process.json()["error"]["code"]) == (404, "process-missing")


# -- source


@pytest.fixture
def show(store, tmp_path, make_client, far):
    """Ask for the source of a file that the bank names, by a client or another one."""
    count, near = 0, make_client()

    def ask(file, line=30, *, changed_ns=WALL_NS - 1, lines=2, is_loopback=True, **head):
        nonlocal count
        count += 1
        bank = Bank(host=socket.gethostname())
        bank.process_id, bank.head = bank.process_id + count, bank.head | head
        bank.definitions["spans"] = [(1, 7, count, 1, 0, 0, 0, 1, 0, "bank")]
        bank.definitions["sites"] = [(1, str(file), line, "transfer")]
        if Path(file).is_file() and not Path(file).is_symlink():
            os.utime(file, ns=(changed_ns, changed_ns))
        put(store, write(tmp_path / f"{count}.clew", bank))
        run = f"{7:016x}{count:016x}"
        return (near if is_loopback else far).get(
            f"/api/v1/runs/{run}/source/{bank.process_id:016x}/1", params={"lines": lines}
        )

    return ask


@pytest.fixture
def program(tmp_path):
    """A file of a hundred lines."""
    path = tmp_path / "app.py"
    path.write_text("".join(f"line {i}\n" for i in range(1, 101)))
    return path


def test_the_lines_around_a_place_are_shown(show, program, tmp_path):
    """By an absolute name or one from the folder the process ran in; at the first line too."""
    expected = {"file": str(program), "first_line": 28, "lines": [f"line {i}" for i in range(28, 33)], "line": 30}

    assert show(program).json() == expected
    assert show("app.py", cwd=str(tmp_path)).json() == expected
    assert show(program, 1).json()["lines"] == ["line 1", "line 2", "line 3"]
    assert len(show(program, 50, lines=20).json()["lines"]) == 41
    assert show(program, 50, lines=21).status_code == 422


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"host": "elsewhere"}, "host"),
        ({"is_loopback": False}, "reachable"),
        ({"changed_ns": WALL_NS + 1}, "changed"),
        ({"line": 101}, "lines"),
        ({"line": 0}, "lines"),
    ],
)
def test_other_lines_than_those_that_ran_here_are_not_shown(show, program, more, why):
    """Another host, a server that others reach, a file that was changed since."""
    answer = show(program, **more)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "source-unavailable")
    assert why in answer.json()["error"]["message"]


def test_nothing_but_python_files_is_read(show, tmp_path):
    """Not by its name, not by a link, and no device or pipe, on which one would wait for ever."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret\n" * 50)
    link = tmp_path / "link.py"
    link.symlink_to(secret)
    os.utime(secret, ns=(1, 1))
    pipe = tmp_path / "pipe.py"
    os.mkfifo(pipe)

    answers = [show(file) for file in (secret, link, pipe, tmp_path, "/etc/passwd", tmp_path / "none.py", "a\0.py")]

    assert [answer.json()["error"]["code"] for answer in answers] == ["source-unavailable"] * 7
    assert not any("secret\n" in answer.text for answer in answers)


# -- the library


def test_a_view_is_loaded_once_however_many_ask(store, tmp_path, monkeypatch):
    """All get the same one."""
    put(store, write(tmp_path / "r.clew", Bank()))
    loads = []
    original = library_module.streams_of
    monkeypatch.setattr(library_module, "streams_of", lambda *args: loads.append(args) or original(*args))
    library, barrier, views = Library(store), threading.Barrier(4), []

    def ask():
        barrier.wait(10)
        views.append(library.timelines(RUN))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)

    assert len(loads) == 1
    assert len(views) == 4
    assert len({id(view) for view in views}) == 1


def test_a_view_is_replaced_when_a_process_sent_more(store, tmp_path):
    """What was open stays as it was for who holds it."""
    put(store, write(tmp_path / "r.clew", Bank()))
    library = Library(store)
    before = library.timelines(RUN)
    more = Bank()
    for at in range(100, 105):
        more.event(at, EventKind.CUSTOM_EVENT, more.main, attrs={"name": "more"})
    stream = open_recording(write(tmp_path / "more.clew", more)).streams[0]
    store.writer.submit(IngestRequest(check_chunks(stream.path.read_bytes()))).result(20)

    after = library.timelines(RUN)

    assert after is not before
    assert len(after.timelines[0].data) == len(before.timelines[0].data) + 5
    assert after.revision > before.revision
    assert library.timelines(RUN) is after


def test_children_belong_to_the_run_of_a_process(store, tmp_path):
    """Also those of children; of a request only what has a part of it."""
    bank = Bank()
    child, grandchild, other = (Process(id_, pid=id_) for id_ in (0xC1, 0xC2, 0xC3))
    child.head["parent"], grandchild.head["parent"] = ["00000000000000a1", 0], ["00000000000000c1", 4]
    other.head["parent"] = ["00000000000000ee", 0]
    for process in (child, grandchild, other):
        process.event(10, EventKind.LIFE_PROCESS_START, process.main, entity=process.process)
    put(store, write(tmp_path / "r.clew", bank, child, grandchild, other))

    view = Library(store).timelines(RUN)

    assert list(view.positions) == ["00000000000000a1", "00000000000000c1", "00000000000000c2"]


def test_what_was_not_asked_for_the_longest_is_closed(store, tmp_path):
    """Beyond the number that may stay open, or the memory that they may take."""
    for i in range(3):
        bank = Bank()
        bank.process_id, bank.definitions["spans"] = 0x100 + i, [(1, 7, 100 + i, 1, 0, 0, 0, 1, 0, "bank")]
        put(store, write(tmp_path / f"{i}.clew", bank))
    runs = [f"{7:016x}{100 + i:016x}" for i in range(3)]
    few, small = Library(store, max_views=2), Library(store, max_bytes=1)

    views = [few.timelines(run) for run in runs]
    first = small.timelines(runs[0])
    small.timelines(runs[1])

    assert few.timelines(runs[2]) is views[2]
    assert few.timelines(runs[1]) is views[1]
    assert few.timelines(runs[0]) is not views[0]
    assert small.timelines(runs[0]) is not first


def test_an_unknown_run_is_not_kept(store):
    """However often it is asked for."""
    library = Library(store)

    for _ in range(3):
        with pytest.raises(HttpError, match="run-missing"):
            library.timelines("ab" * 16)
    assert library._slots == {}
