"""``clew import``: JSON lines in, checked line by line; what was exported comes back."""

from __future__ import annotations

import gzip
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from benchmarks.synthetic import write_recording
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.recordings import Process, write
from tests.support.strategies import contents_of_streams

from clew.cli.main import main
from clew.convert.jsonl import lines_of
from clew.convert.jsonl_import import MAX_LINE, LineError, read_lines
from clew.convert.recording_writer import RecordingWriter
from clew.format.reader import Recording, open_recording

HEAD = {"record": "process", "process": "00000000000000a1", "head": {}}
EVENT = {"record": "event", "process": "00000000000000a1", "seq": 1, "t_ns": 5, "kind": "life.step"}


def lines(*objects: dict[str, Any] | str) -> io.BytesIO:
    texts = [item if isinstance(item, str) else json.dumps(item) for item in objects]
    return io.BytesIO("".join(f"{text}\n" for text in texts).encode())


def exported(recording: Recording) -> bytes:
    return "".join(lines_of(recording)).encode()


def imported(text: bytes, folder: Path) -> Recording:
    with RecordingWriter(folder) as writer:
        for content in read_lines(io.BytesIO(text)):
            writer.write(content)
    return open_recording(folder)


def json_value(text: str) -> Any:
    """What an attribute text means: its JSON value, or itself where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def facts_of(recording: Recording) -> list[Any]:
    """Everything a recording says, in a form that can be compared."""
    facts: list[Any] = []
    for stream in recording.streams:
        data = stream.data
        entities = {n: (*row[:7], json_value(row[7])) for n, row in data.entities.items()}
        attrs = {seq: json_value(text) for seq, text in data.attrs.items()}
        facts.append(
            (
                stream.id,
                stream.process,
                stream.end,
                data.columns,
                attrs,
                entities,
                data.sites,
                data.spans,
                data.remote_causes,
            )
        )
    return facts


class TestRoundTrip:
    """Export, import, export."""

    def test_a_recording_comes_back_as_it_was(self, tmp_path):
        """Columns, definitions, heads and ends are equal, and so are the bytes of a second export."""
        recording = open_recording(write_recording(tmp_path / "a.clew", 5000, processes=2))

        text = exported(recording)
        again = imported(text, tmp_path / "b.clew")

        assert facts_of(again) == facts_of(recording)
        assert exported(again) == text

    def test_a_recorded_program_comes_back_as_it_was(self, record, tmp_path):
        """The same for what a real program left."""
        done = record(
            """
            import asyncio, clew

            async def work(n):
                with clew.span("wörk"):
                    await asyncio.sleep(0)
                    clew.event("custom", name="n", n=n, ratio=0.1)

            async def main():
                await asyncio.gather(*[work(n) for n in range(5)])
                raise ValueError("bad")

            with clew.run("nightly"):
                asyncio.run(main())
            """
        )

        text = exported(done.recording)
        again = imported(text, tmp_path / "again.clew")

        assert done.returncode == 1
        assert facts_of(again) == facts_of(done.recording)
        assert exported(again) == text

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_any_recording_comes_back_as_it_was(self, data):
        """Whatever numbers and texts stand in it: the format's whole range."""
        contents = data.draw(st.lists(contents_of_streams(), min_size=1, max_size=2, unique_by=lambda c: c.process_id))
        with tempfile.TemporaryDirectory() as folder:
            first = Path(folder) / "a.clew"
            with RecordingWriter(first) as writer:
                for content in contents:
                    writer.write(content)
            recording = open_recording(first)

            text = exported(recording)
            again = imported(text, Path(folder) / "b.clew")

            assert facts_of(again) == facts_of(recording)
            assert exported(again) == text

    def test_lines_may_come_in_any_order(self, tmp_path):
        """Events are sorted by ``seq``, whatever order a program wrote them in."""
        recording = open_recording(write_recording(tmp_path / "a.clew", 500, processes=2))
        text = exported(recording)

        again = imported(b"".join(reversed(text.splitlines(keepends=True))), tmp_path / "b.clew")

        assert facts_of(again) == facts_of(recording)

    def test_numbers_of_newer_recorders_are_kept(self, tmp_path):
        """A kind this version has no name for is written as its number."""
        process = Process()
        process.event(1, 250, process.main, op=200)  # type: ignore[arg-type]
        recording = open_recording(write(tmp_path / "a.clew", process))

        text = exported(recording)

        assert '"kind":250,"op":200' in text.decode()
        assert facts_of(imported(text, tmp_path / "b.clew")) == facts_of(recording)

    def test_attributes_that_are_no_json_object_are_kept_as_text(self, tmp_path):
        """A line is always JSON that every reader takes."""
        texts = ["{", "[1]", '{"a":NaN}', '{"a":1,"a":2}', '{"a":1e999}', "", '{"a":"\\ud800"}', "[" * 100_000]
        process = Process()
        for i, text in enumerate(texts):
            process.attrs[process.event(i, 126, process.main)] = text  # type: ignore[arg-type]
        recording = open_recording(write(tmp_path / "a.clew", process))

        text = exported(recording)
        again = imported(text, tmp_path / "b.clew")

        for line in text.splitlines():
            json.loads(line, parse_constant=pytest.fail)
        assert list(again.streams[0].data.attrs.values()) == texts

    def test_large_definitions_and_attributes_are_spread_over_chunks(self, tmp_path, monkeypatch):
        """No chunk outgrows its limits, however much is imported at once."""
        monkeypatch.setattr("clew.convert.recording_writer.CHUNK_ROWS", 10)
        monkeypatch.setattr("clew.convert.recording_writer.CHUNK_EVENTS", 64)
        monkeypatch.setattr("clew.convert.recording_writer.CHUNK_BYTES", 2000)
        recording = open_recording(write_recording(tmp_path / "a.clew", 1000))

        again = imported(exported(recording), tmp_path / "b.clew")

        assert facts_of(again) == facts_of(recording)
        assert len(again.streams[0].headers) > 30


BAD_LINES = {
    "nonsense": ("jsonl-syntax", "not JSON", "nonsense"),
    "a list": ("jsonl-syntax", "holds a list", "[1]"),
    "a number": ("jsonl-syntax", "holds 7", "7"),
    "cut": ("jsonl-syntax", "not JSON", '{"record":"event"'),
    "too deep": ("jsonl-syntax", "not JSON", "[" * 200_000),
    "a huge number": ("jsonl-syntax", "not JSON", '{"record":"event","seq":' + "9" * 5000 + "}"),
    "no record": ("jsonl-value", "'record' is null or absent", {"process": "00000000000000a1"}),
    "another record": ("jsonl-value", "'record' is 'span_link'", {"record": "span_link"}),
    "a record that is a list": ("jsonl-value", "'record' is a list", {"record": []}),
    "no process": ("jsonl-value", "'process' is null", {"record": "event"}),
    "a short process": ("jsonl-value", "'process' is 'a1'", EVENT | {"process": "a1"}),
    "process in capitals": ("jsonl-value", "'process' is", EVENT | {"process": "00000000000000A1"}),
    "unknown kind": ("jsonl-value", "'kind' is 'life.stop'", EVENT | {"kind": "life.stop"}),
    "kind out of range": ("jsonl-value", "'kind' is 256", EVENT | {"kind": 256}),
    "unknown op": ("jsonl-value", "'op' is 'jump'", EVENT | {"op": "jump"}),
    "unknown outcome": ("jsonl-value", "'outcome' is 'fine'", EVENT | {"outcome": "fine"}),
    "no kind": ("jsonl-value", "'kind' is null or absent", {n: v for n, v in EVENT.items() if n != "kind"}),
    "no time": ("jsonl-value", "'t_ns' is null or absent", {n: v for n, v in EVENT.items() if n != "t_ns"}),
    "no seq": ("jsonl-value", "'seq' is null or absent", {n: v for n, v in EVENT.items() if n != "seq"}),
    "seq 0": ("jsonl-value", "'seq' is 0", EVENT | {"seq": 0}),
    "seq as text": ("jsonl-value", "'seq' is '1'", EVENT | {"seq": "1"}),
    "seq as truth": ("jsonl-value", "'seq' is True", EVENT | {"seq": True}),
    "a fraction": ("jsonl-value", "'t_ns' is 1.5", EVENT | {"t_ns": 1.5}),
    "a negative time": ("jsonl-value", "'t_ns' is -1", EVENT | {"t_ns": -1}),
    "a time out of range": ("jsonl-value", "'t_ns' is 18446744073709551616", EVENT | {"t_ns": 1 << 64}),
    "a scope out of range": ("jsonl-value", "'scope' is 4294967296", EVENT | {"scope": 1 << 32}),
    "a null": ("jsonl-value", "'op' is null", EVENT | {"op": None}),
    "attrs as list": ("jsonl-value", "'attrs' is a list", EVENT | {"attrs": []}),
    "attrs with NaN": ("jsonl-value", "'attrs' holds NaN or", json.dumps(EVENT | {"attrs": {"a": float("nan")}})),
    "attrs_text as number": ("jsonl-value", "'attrs_text' is 5", EVENT | {"attrs_text": 5}),
    "half a remote cause": ("jsonl-value", "'remote_cause' is a list", EVENT | {"remote_cause": ["00000000000000a1"]}),
    "a remote cause by number": ("jsonl-value", "'remote_cause[0]' is 1", EVENT | {"remote_cause": [1, 2]}),
    "an unknown member": ("jsonl-value", "unknown member 'tns'", EVENT | {"tns": 5}),
    "head as list": ("jsonl-value", "'head' is a list", HEAD | {"process": "00000000000000a2", "head": []}),
    "no id": ("jsonl-value", "'id' is null", HEAD | {"record": "entity"}),
    "a name as number": (
        "jsonl-value",
        "'name' is 5",
        {"record": "entity", "process": HEAD["process"], "id": 1, "name": 5},
    ),
    "half a surrogate pair": (
        "jsonl-value",
        "'name' is",
        {"record": "entity", "process": HEAD["process"], "id": 1, "name": "\ud800"},
    ),
    "a short trace": (
        "jsonl-value",
        "'trace' is 'ab'",
        {"record": "span", "process": HEAD["process"], "id": 1, "trace": "ab"},
    ),
    "another format": ("jsonl-value", "'format' is 'x'", {"record": "recording", "format": "x", "version": 1}),
    "a newer version": ("jsonl-value", "'version' is 2", {"record": "recording", "format": "clew.jsonl", "version": 2}),
    "the same seq": ("jsonl-duplicate", "event 1 of process 00000000000000a1, which is line 2, stands twice", EVENT),
    "the same head": ("jsonl-duplicate", "the process whose head is line 1 stands twice", HEAD),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_named(name):
    """The error has the number of the line, what stands there, and a slug."""
    slug, found, line = BAD_LINES[name]

    with pytest.raises(LineError) as caught:
        read_lines(lines(HEAD, EVENT, line))

    assert caught.value.slug == slug
    assert caught.value.line == 3
    assert "line 3: " in str(caught.value)
    assert found in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_line_without_end_is_refused_before_it_fills_memory():
    """A line longer than ``MAX_LINE`` is not read to its end."""

    class Endless(io.RawIOBase):
        asked = 0

        def readline(self, size: int = -1) -> bytes:  # type: ignore[override]
            assert 0 < size <= MAX_LINE + 1
            return b" " * (size - 1) + b"{"

    with pytest.raises(LineError, match="line 1: it is longer than"):
        read_lines(Endless())  # type: ignore[arg-type]


def test_bytes_that_are_no_text_are_refused():
    """Lines are UTF-8."""
    with pytest.raises(LineError, match="line 1: byte 2 is not UTF-8"):
        read_lines(io.BytesIO(b'{"\xff"}\n'))


def test_a_process_without_head_is_refused():
    """The error names the first line that speaks of the process."""
    with pytest.raises(LineError) as caught:
        read_lines(lines(HEAD, EVENT | {"process": "00000000000000b2"}))

    assert (caught.value.slug, caught.value.line) == ("jsonl-process", 2)


def test_an_empty_file_is_refused():
    """There is no recording without a process."""
    with pytest.raises(LineError) as caught:
        read_lines(io.BytesIO(b"\n\n"))

    assert caught.value.slug == "jsonl-process"


class TestCommand:
    """``clew import FILE --format jsonl -o RECORDING``."""

    def test_it_makes_a_recording(self, tmp_path, capsys):
        """One stream a process; ``--json`` says what was made, in one document."""
        source, target = tmp_path / "a.jsonl", tmp_path / "new" / "a.clew"
        source.write_bytes(lines(HEAD, EVENT).getvalue())

        code = main(["import", str(source), "--format", "jsonl", "-o", str(target), "--json"])

        assert code == 0
        assert json.loads(capsys.readouterr().out) == {
            "schema": "clew.import/1", "recording": str(target), "events": 1, "processes": 1,
        }  # fmt: skip
        assert [stream.id for stream in open_recording(target).streams] == ["00000000000000a1"]
        assert os.listdir(target.parent) == ["a.clew"]

    def test_a_compressed_file_is_read(self, tmp_path):
        """By its name."""
        source, target = tmp_path / "a.jsonl.gz", tmp_path / "a.clew"
        source.write_bytes(gzip.compress(lines(HEAD, EVENT).getvalue()))

        assert main(["import", str(source), "--format", "jsonl", "-o", str(target)]) == 0
        assert len(open_recording(target).streams[0].data) == 1

    @pytest.mark.parametrize("bad", ["nonsense", "the same seq"])
    def test_nothing_is_left_behind_by_a_bad_file(self, tmp_path, capsys, bad):
        """Exit code 2, one line on stderr, and no folder of any name."""
        source = tmp_path / "a.jsonl"
        source.write_bytes(lines(HEAD, EVENT, BAD_LINES[bad][2]).getvalue())

        code = main(["import", str(source), "--format", "jsonl", "-o", str(tmp_path / "a.clew")])

        assert code == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert os.listdir(tmp_path) == ["a.jsonl"]

    def test_nothing_is_left_behind_when_writing_fails(self, tmp_path, capsys, monkeypatch):
        """Also not when the disk is full in the middle."""
        source = tmp_path / "a.jsonl"
        source.write_bytes(lines(HEAD, EVENT).getvalue())

        def full(*args: object) -> bytes:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("clew.convert.recording_writer.encode_event_chunk", full)
        code = main(["import", str(source), "--format", "jsonl", "-o", str(tmp_path / "a.clew")])

        assert code == 2
        assert "No space left on device" in capsys.readouterr().err
        assert os.listdir(tmp_path) == ["a.jsonl"]

    def test_an_existing_output_is_an_error(self, tmp_path, capsys):
        """Nothing is overwritten, not even an empty folder."""
        source, target = tmp_path / "a.jsonl", tmp_path / "a.clew"
        source.write_bytes(lines(HEAD, EVENT).getvalue())
        target.mkdir()

        code = main(["import", str(source), "--format", "jsonl", "-o", str(target)])

        assert code == 2
        assert "[output-exists]" in capsys.readouterr().err
        assert os.listdir(target) == []

    @pytest.mark.parametrize("name", ["missing.jsonl", "not.gz"])
    def test_a_file_that_cannot_be_read_is_an_error(self, tmp_path, capsys, name):
        """A missing file, or one that is not what its name says."""
        (tmp_path / "not.gz").write_bytes(b"{}")

        code = main(["import", str(tmp_path / name), "--format", "jsonl", "-o", str(tmp_path / "a.clew")])

        assert code == 2
        assert "[no-input]" in capsys.readouterr().err
        assert not (tmp_path / "a.clew").exists()
