"""The drain against a model: whatever happens to it, each number is an event or counted as lost, once."""

from __future__ import annotations

import json
import mmap
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clew.format import ring
from clew.format.drain import Drain, resume_stream
from clew.format.reader import Stream
from clew.model.kinds import EntityKind, EventKind
from clew.probe.session import Session

CAPACITY = 1024
JOURNAL = 1 << 16
PROCESS_ID = 0xC1E3


class Program:
    """The observed process's side of a ring, as ``probe`` writes it: one event, its definition, its attributes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.path = folder / ring.file_name(str(folder), os.getpid(), PROCESS_ID)
        self.path.write_bytes(bytes(ring.file_size(CAPACITY, JOURNAL)))
        with self.path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        identity = (ring.MAGIC, ring.VERSION, ring.SLOT_SIZE, CAPACITY, PROCESS_ID, os.getpid(), 0, 1, JOURNAL)
        ring.IDENTITY.pack_into(self.map, 0, *identity)
        ring.NUMBER.pack_into(self.map, ring.NEXT_SEQ, 1)
        session: Any = object.__new__(Session)
        session.map, session.pid, session.forking = self.map, os.getpid(), []
        session.config = SimpleNamespace(buffer_events=CAPACITY)
        self.admit = session.admit
        self.seq = 0
        self.written = 0
        self.undescribed: set[int] = set()
        self.has_forgotten = False
        self.record(ring.RECORD_PROCESS, b'{"pid":1}')

    def emit(self, count: int) -> None:
        for _ in range(count):
            self.seq += 1
            if not self.admit(self.seq):
                continue
            offset = ring.HEADER_SIZE + self.seq % CAPACITY * ring.SLOT_SIZE
            ring.SLOT.pack_into(self.map, offset, self.seq, 0, 0, 0, self.seq, 0, 0, 1, EventKind.CUSTOM_EVENT)
            entity = (self.seq, EntityKind.CUSTOM, f"e{self.seq}", "", 0, 0, 0, "")
            described = self.record(ring.RECORD_ENTITY, "\0".join(map(str, entity)).encode())
            if not described or not self.record(ring.RECORD_ATTRS, b"%d\0%d" % (self.seq, self.seq)):
                self.undescribed.add(self.seq)

    def skip(self) -> None:
        """Take a number and never fill its slot: an exception struck in between."""
        self.seq += 1
        self.admit(self.seq)

    def record(self, kind: int, payload: bytes) -> bool:
        data = ring.RECORD.pack(len(payload), kind) + payload
        if len(data) > JOURNAL - (self.written - ring.NUMBER.unpack_from(self.map, ring.JOURNAL_READ)[0]):
            return False
        start, at = ring.journal_offset(CAPACITY), self.written % JOURNAL
        first = data[: JOURNAL - at]
        self.map[start + at : start + at + len(first)] = first
        self.map[start : start + len(data) - len(first)] = data[len(first) :]
        self.written += len(data)
        ring.NUMBER.pack_into(self.map, ring.JOURNAL_WRITTEN, self.written)
        return True


def check(program: Program, stream: Stream) -> None:
    """Every number up to the last that was taken is there once, as an event or in a gap."""
    data = stream.data
    seen: list[int] = []
    attrs = {seq: json.loads(text) for seq, text in data.attrs.items()}
    for seq, kind, arg, entity in zip(*(data.columns[c] for c in ("seq", "kind", "arg", "entity")), strict=True):
        if kind == EventKind.GAP_DROPPED:
            seen += range(seq, seq + arg)
            continue
        seen.append(seq)
        assert entity == seq
        if seq not in program.undescribed and not program.has_forgotten:
            assert attrs[seq] == seq
            assert data.entities[seq][2] == f"e{seq}"
    assert seen == sorted(set(seen))
    # Numbers refused after the last event are counted only if the drain saw the ring full.
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) <= program.seq


STEPS = st.one_of(
    st.tuples(st.just("emit"), st.integers(1, 700)),
    st.tuples(st.sampled_from(["step", "step", "write", "skip", "kill", "kill unfreed", "full", "room"]), st.just(0)),
)


@example([("skip", 0), ("full", 0), ("emit", 467), ("step", 0), ("step", 0), ("kill", 0)])
@example([("emit", 2049), ("step", 0), ("step", 0), ("step", 0), ("kill unfreed", 0)])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=25))
def test_nothing_is_lost_or_told_twice(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]):
    """Steps, writes, a drain that is killed at any point, a disk that is full for a while, in any order."""
    folder = tmp_path_factory.mktemp("drain")
    program = Program(folder / "r.clew")
    drain = Drain(program.path)
    stream_path = program.folder / f"{PROCESS_ID:016x}.stream"
    aside = folder / "aside.clew"
    drain.stream_path = stream_path

    for what, count in steps:
        if what == "emit":
            program.emit(count)
        elif what == "step":
            drain.step()
        elif what == "write":
            drain.step()
            drain._write()
        elif what == "skip":
            program.skip()
        elif what.startswith("kill"):
            before = bytes(program.map)
            if what == "kill unfreed":  # after the chunk was written, before its room was given back
                drain._write()
                program.map[:] = before
                ring.NUMBER.pack_into(program.map, ring.JOURNAL_WRITTEN, program.written)
            # A drain that could not write held the definitions in its own memory.
            program.has_forgotten |= drain._lost_from is not None or bool(drain.error and drain._rows)
            drain.close()
            drain = Drain(program.path)
            drain.stream_path = stream_path
            resume_stream(drain)
        elif what == "full":
            drain.stream_path = aside / "nowhere"
        else:
            drain.stream_path = stream_path
    drain.stream_path = stream_path
    drain.finish()

    check(program, Stream(stream_path))
    assert not program.path.exists()
    shutil.rmtree(folder)


def test_what_was_taken_stays_in_the_ring_until_it_is_written(tmp_path):
    """The observed process gets its room back only then."""
    program = Program(tmp_path / "r.clew")
    drain = Drain(program.path, program.folder)
    program.emit(10)

    drain.step()
    drain.step()

    assert drain.next_seq == 11
    assert ring.NUMBER.unpack_from(program.map, ring.NEXT_SEQ)[0] == 1
    drain.hand_over()
    assert ring.NUMBER.unpack_from(program.map, ring.NEXT_SEQ)[0] == 11
    assert not any(program.map[ring.HEADER_SIZE : ring.journal_offset(CAPACITY)])
    program.path.unlink()


def test_a_ring_that_fills_is_written_before_its_time(tmp_path):
    """A quarter of the slots, or of the journal, is enough."""
    program = Program(tmp_path / "r.clew")
    drain = Drain(program.path, program.folder)

    program.emit(CAPACITY // 4)
    drain.step()
    drain.step()

    assert drain.events == CAPACITY // 4
    drain.remove()


def test_a_process_that_became_another_program_has_ended(tmp_path):
    """Its ring says that it was about to, and it has it mapped no longer; if it failed to, it goes on."""
    program = Program(tmp_path / "r.clew")
    drain = Drain(program.path, program.folder)
    drain._ticks = ring.start_ticks(os.getpid())
    ring.NUMBER.pack_into(program.map, ring.STATE, ring.STATE_EXEC)

    assert not drain.has_ended()
    drain.path = program.path.with_name("clew-0-00000000-1-1.ring")  # which nobody has mapped
    assert drain.has_ended()
    ring.NUMBER.pack_into(program.map, ring.STATE, ring.STATE_OPEN)
    assert not drain.has_ended()
    drain.path = program.path
    drain.remove()
