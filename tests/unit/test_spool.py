"""A trimmed stream against the drain: what it must still tell one that takes over."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_drain import PROCESS_ID, Program

from clew.format import spool
from clew.format.chunk import ChunkType
from clew.format.drain import Drain, resume_stream
from clew.format.reader import Stream
from clew.format.spool import Spool
from clew.format.tail import Tail


def write_all(drain: Drain) -> None:
    for _ in range(3):
        drain.step()
    drain.flush()


def read_all(tail: Tail) -> int:
    """Settle everything that is there; return how many events that was."""
    events = 0
    while pieces := tail.read(1 << 20):
        for piece in pieces:
            tail.settle(piece.header, is_taken=True)
            events += piece.header.events
    return events


def spooled(tmp_path: Path) -> tuple[Program, Drain, Spool, Tail]:
    program = Program(tmp_path / "r.clew")
    drain = Drain(program.path, program.folder)
    found = Spool(program.folder, cap_bytes=0, kept_bytes=0)
    drain.spool = found
    found.values[drain.stream_path] = drain.values
    return program, drain, found, Tail(drain.stream_path)


def test_a_drain_goes_on_after_a_trimmed_stream(tmp_path, monkeypatch):
    """Numbers, counts and the texts that values refer to are those of the whole stream, trim after trim."""
    monkeypatch.setattr(spool, "LEAST_FILE", 0)
    program, drain, found, tail = spooled(tmp_path)
    sent = 0
    for turn in range(6):
        drain.values.texts[turn] = f'"text {turn}"'
        for _ in range(3):
            program.emit(300)
            write_all(drain)
        sent += read_all(tail)
        assert found.is_trim_due([tail])
        before = drain.stream_path.stat().st_size
        assert found.trim([tail]) == []
        assert drain.stream_path.stat().st_size < before
        assert found.size == drain.stream_path.stat().st_size
    drain.close()

    left = Stream(drain.stream_path)
    later = Drain(program.path, program.folder)
    resume_stream(later)
    assert [header.type for header in left.headers].count(ChunkType.PROCESS) == 1
    assert left.process["pid"] == 1
    assert later.values.texts == {turn: f'"text {turn}"' for turn in range(6)}
    program.emit(100)
    later.finish()

    rest = Tail(later.stream_path)
    assert read_all(rest) == left.headers[-1].events + 100
    assert sent == 6 * 900
    end = Stream(later.stream_path).end
    assert (end["events"], end["dropped"], end["not_written"]) == (sent + 100, 0, 0)
    assert Stream(later.stream_path).next_seq == 5501


def test_a_trim_again_after_another_took_over_counts_on(tmp_path, monkeypatch):
    """The events that were removed are counted over all trims, each once."""
    monkeypatch.setattr(spool, "LEAST_FILE", 0)
    program, drain, found, tail = spooled(tmp_path)
    for _ in range(4):
        program.emit(200)
        write_all(drain)
        read_all(tail)
        found.trim([tail])
        tail = Tail(drain.stream_path)  # a sender that knows nothing yet
        read_all(tail)

    left = Stream(drain.stream_path)
    assert left.process["trimmed"] + sum(header.events for header in left.headers) == 800
    assert left.process_id == PROCESS_ID
    drain.remove()


def test_a_disk_that_is_full_leaves_the_long_stream(tmp_path, monkeypatch):
    """Nothing is lost when the shorter stream cannot be written, and nothing of it stays."""
    monkeypatch.setattr(spool, "LEAST_FILE", 0)
    program, drain, found, tail = spooled(tmp_path)
    for _ in range(3):
        program.emit(300)
        write_all(drain)
    read_all(tail)
    before = drain.stream_path.read_bytes()

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        found.trim([tail])
    assert drain.stream_path.read_bytes() == before
    assert list(program.folder.glob("*.trimmed")) == []
    drain.remove()


def test_little_is_copied_for_what_is_freed(tmp_path, monkeypatch):
    """A stream of which most was not sent yet is left as it is."""
    monkeypatch.setattr(spool, "LEAST_FILE", 0)
    program, drain, found, tail = spooled(tmp_path)
    for _ in range(3):
        program.emit(300)
        write_all(drain)
    read_all(tail)
    for _ in range(3):
        program.emit(300)
        write_all(drain)
    before = drain.stream_path.stat().st_ino

    found.trim([tail])
    assert drain.stream_path.stat().st_ino == before

    read_all(tail)
    found.trim([tail])
    assert drain.stream_path.stat().st_ino != before
    drain.remove()
