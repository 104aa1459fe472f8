"""What is kept how long, and that nothing goes that something still needs."""

import hashlib
import time

import pytest
from sqlalchemy import func, select
from tests.support.chunks import event_chunk, json_body

from clew.format.chunk import ChunkType
from clew.store import artifacts, retention, schema
from clew.store.batch import IngestRequest
from clew.store.errors import StoreError
from clew.store.ingest import check_chunks
from clew.store.retention import DAY_NS
from clew.store.store import Store

NOW = time.time_ns()
DATA = b"a value"
HASH = hashlib.sha256(DATA).hexdigest()


def make_process(store: Store, number: int, *, retention_class: str = "dev", run: str = "") -> str:
    """A process with events, a name, an artifact, a part of a run and a finding."""
    process_id = f"{number:016x}"
    head = check_chunks(json_body(ChunkType.PROCESS, {"retention": retention_class}, process=number))
    store.writer.submit(IngestRequest([*head, event_chunk([1, 2], process=number)])).result(10)
    store.numbers_of(process_id, "site", ["x"])
    artifacts.put(store, DATA, expected_hash=HASH, media_type="text/plain", process_id=process_id)
    run = run or f"{number:032x}"
    with store.write() as connection:
        connection.execute(schema.run_parts.insert(), {"run_id": run, "process_id": process_id, "document": "{}"})
        if not connection.execute(select(schema.runs).where(schema.runs.c.run_id == run)).first():
            columns = ("started_ns", "duration_ns", "events", "errors", "spans", "processes", "revision")
            connection.execute(
                schema.runs.insert(),
                dict.fromkeys(columns, 1)
                | {"run_id": run, "name": "r", "service": "s", "services": "[]", "process_id": process_id}
                | {"entry": "process", "status": "succeeded"},
            )
        texts = ("kind", "severity", "confidence", "title", "fingerprint", "document")
        connection.execute(schema.findings.insert(), dict.fromkeys(texts, "x") | {"process_id": process_id})
        connection.execute(schema.processes.update().values(indexed_revision=schema.processes.c.revision))
    return process_id


def make_segment(store: Store, key: str, *process_ids: str) -> int:
    """A segment whose file says nothing."""
    store.blobs.put(f"segments/{key}/events.parquet", b"parquet")
    with store.write() as connection:
        row = {"key": key, "events": 2, "bytes": 7, "files": '{"events":7}', "created_ns": NOW}
        number = connection.execute(schema.segments.insert().returning(schema.segments.c.id), row).scalar_one()
        part = {"segment_id": number, "first_seq": 1, "end_seq": 3, "events": 2, "start_ns": 0, "end_ns": 1}
        connection.execute(schema.segment_parts.insert(), [part | {"process_id": p} for p in process_ids])
    return number


def count(store: Store, *tables) -> list[int]:
    with store.engine.connect() as connection:
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]


OF_A_PROCESS = (schema.chunks, schema.coverage, schema.names, schema.artifact_refs, schema.run_parts, schema.findings)


def test_each_class_has_its_time(store: Store):
    """Seven days, thirty, a hundred and eighty; a hold has no end."""
    ids = {name: make_process(store, i, retention_class=name) for i, name in enumerate(("dev", "ci", "incident"), 1)}
    held = make_process(store, 9)
    retention.keep(store, [held], retention="dev", hold=True)

    deleted = {}
    for days in (6, 8, 29, 31, 179, 181, 10_000):
        retention.apply(store, now_ns=NOW + days * DAY_NS)
        for name, process_id in ids.items():
            row = store.process(process_id)
            if row is None or row.deleted_ns is not None:
                deleted.setdefault(name, days)

    assert deleted == {"dev": 8, "ci": 31, "incident": 181}
    assert store.process(held).deleted_ns is None
    assert count(store, *OF_A_PROCESS) == [1] * 6
    assert artifacts.read(store, HASH) == DATA


def test_a_deletion_hides_at_once_and_purges_a_day_later(store: Store):
    """Until then the events are there, for who deleted the wrong one."""
    process_id = make_process(store, 1)
    make_segment(store, "s1", process_id)
    before = store.revision

    assert retention.delete_processes(store, [process_id], now_ns=NOW) == 1

    assert store.changes(before)[0].deleted_ns == NOW
    assert count(store, schema.runs, schema.run_parts, schema.findings) == [0, 0, 0]
    retention.apply(store, now_ns=NOW + DAY_NS - 1)
    assert count(store, schema.chunks, schema.segments) == [1, 1]
    removed = retention.apply(store, now_ns=NOW + DAY_NS + 1)
    assert (removed.purged, removed.segments) == (1, 1)
    assert count(store, *OF_A_PROCESS, schema.segments, schema.segment_parts) == [0] * 8
    for days in (3, 5):  # the artifact is marked, and removed a day after
        retention.apply(store, now_ns=NOW + days * DAY_NS)
    assert list(store.blobs.list()) == []
    assert count(store, schema.artifacts) == [0]


def test_what_comes_late_revives_nothing(store: Store):
    """A sender that goes on is told that there is nothing to do; a month later all trace is gone."""
    process_id = make_process(store, 1)
    late = IngestRequest([event_chunk([3, 4], process=1), *check_chunks(json_body(ChunkType.END, {}, process=1))])
    retention.delete_processes(store, [process_id], now_ns=NOW)

    receipts = [store.writer.submit(late).result(10)]
    retention.apply(store, now_ns=NOW + 2 * DAY_NS)
    receipts.append(store.writer.submit(late).result(10))

    assert [(receipt.accepted, receipt.duplicates) for receipt in receipts] == [(0, 2)] * 2
    row = store.process(process_id)
    assert (row.retention, row.head, row.events, row.end) == ("purged", "{}", 0, None)
    assert count(store, schema.chunks, schema.coverage) == [0, 0]
    retention.apply(store, now_ns=NOW + 32 * DAY_NS)
    assert store.process(process_id) is None


def test_a_run_that_others_have_a_part_in_is_worked_out_anew(store: Store):
    """It loses what the deleted process knew of it."""
    run = "ab" * 16
    gone, stays = make_process(store, 1, run=run), make_process(store, 2, run=run)
    bystander = make_process(store, 3)

    retention.delete_processes(store, [gone])

    assert count(store, schema.runs) == [2]
    assert store.process(stays).indexed_revision == 0
    assert store.process(bystander).indexed_revision == store.process(bystander).revision


def test_a_segment_with_others_in_it_is_left_to_be_written_again(store: Store):
    """Only one whose processes are all gone is removed."""
    gone, stays = make_process(store, 1), make_process(store, 2)
    mixed, own, others = (
        make_segment(store, "mixed", gone, stays),
        make_segment(store, "own", gone),
        make_segment(store, "others", stays),
    )
    assert retention.segments_to_rewrite(store) == []
    retention.delete_processes(store, [gone], now_ns=NOW)

    retention.apply(store, now_ns=NOW + 2 * DAY_NS)

    with store.engine.connect() as connection:
        left = connection.execute(select(schema.segments.c.id).order_by(schema.segments.c.id)).scalars().all()
    assert left == [mixed, others]
    assert own not in left
    assert retention.segments_to_rewrite(store) == [mixed]
    keys = sorted(info.key for info in store.blobs.list("segments"))
    assert keys == ["segments/mixed/events.parquet", "segments/others/events.parquet"]
    assert artifacts.read(store, HASH) == DATA


def test_processes_under_hold_are_not_deleted(store: Store):
    """Nor those that were to be deleted with them."""
    free, held = make_process(store, 1), make_process(store, 2)
    assert retention.keep(store, [held], retention="incident", hold=True) == 1

    with pytest.raises(StoreError, match="under-hold"):
        retention.delete_processes(store, [free, held])

    assert store.process(free).deleted_ns is None
    assert store.process(held).retention == "incident"


def test_a_class_that_is_none_is_refused(sqlite_store: Store):
    """With those there are."""
    with pytest.raises(StoreError, match="dev, ci, incident"):
        retention.keep(sqlite_store, [], retention="purged", hold=False)


def test_a_class_that_was_chosen_outlives_the_head_that_comes_again(store: Store):
    """A sender repeats itself; it does not mean to undo what an operator did."""
    process_id = make_process(store, 1, retention_class="ci")
    retention.keep(store, [process_id], retention="incident", hold=False)
    again = json_body(ChunkType.PROCESS, {"retention": "ci", "service": "new"}, process=1)

    store.writer.submit(IngestRequest(check_chunks(again))).result(10)

    assert store.process(process_id)[1] == "new"
    assert store.process(process_id).retention == "incident"


def test_files_that_no_row_names_are_removed_when_they_are_old(store: Store):
    """A young one may be about to get its row; what is not clew's stays."""
    process_id = make_process(store, 1)
    make_segment(store, "named", process_id)
    for key in ("segments/left/events.parquet", "artifacts/00/" + "0" * 64, "notes.txt"):
        store.blobs.put(key, b"x")

    young = retention.apply(store, now_ns=time.time_ns())
    old = retention.apply(store, now_ns=time.time_ns() + 2 * DAY_NS)

    assert (young.blobs, old.blobs) == (0, 2)
    assert sorted(info.key for info in store.blobs.list()) == sorted(
        [artifacts.key_of(HASH), "segments/named/events.parquet", "notes.txt"]
    )


def test_an_artifact_that_is_wanted_again_stays(store: Store):
    """Between the two steps of its deletion."""
    artifacts.put(store, DATA, expected_hash=HASH, media_type="text/plain")
    retention.apply(store, now_ns=NOW + 2 * DAY_NS)
    assert artifacts.find(store, HASH) is None

    artifacts.put(store, DATA, expected_hash=HASH, media_type="text/plain", process_id="00000000000000a1")
    retention.apply(store, now_ns=NOW + 4 * DAY_NS)

    assert artifacts.read(store, HASH) == DATA
    retention.apply(store, now_ns=NOW + 20 * DAY_NS)
    retention.apply(store, now_ns=NOW + 22 * DAY_NS)
    assert list(store.blobs.list()) == []


def test_receipts_are_forgotten_after_a_week(store: Store):
    """Nobody repeats a request that long."""
    store.writer.submit(IngestRequest(key="k", answer="a")).result(10)

    retention.apply(store, now_ns=NOW + 6 * DAY_NS)
    assert count(store, schema.receipts) == [1]
    retention.apply(store, now_ns=NOW + 8 * DAY_NS)
    assert count(store, schema.receipts) == [0]
