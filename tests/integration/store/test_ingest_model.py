"""Random senders against a set of numbers: stored is what was sent, each once."""

import random
import uuid

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.support.chunks import event_chunk, events_in, stored_data

from clew.format import schema
from clew.store import batch
from clew.store import schema as tables
from clew.store.batch import IngestRequest
from clew.store.coverage import normalized
from clew.store.store import Store

MANY = settings(
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # Each try stores: to look for a smaller example takes minutes.
    phases=[Phase.explicit, Phase.generate],
)
CHUNKS = st.lists(
    st.tuples(st.integers(0, 1), st.sets(st.integers(1, 40), min_size=1, max_size=15)), min_size=1, max_size=25
)


def rows_of(store: Store, process_id: str):
    """Events of the chunks of a process, by number; and how often each number stands there."""
    data = stored_data(store, process_id)
    seqs = list(data.columns["seq"])
    columns = [data.columns[spec.name] for spec in schema.EVENTS.columns]
    return seqs, dict(zip(seqs, zip(*columns, strict=True), strict=True))


@MANY
@given(CHUNKS, st.randoms(use_true_random=False))
def test_whatever_is_sent_is_stored_once(store: Store, chunks, rng: random.Random):
    """In any order, cut in any way, sent twice, overlapping, in requests of one chunk or of many."""
    send_and_compare(store, chunks, rng)


@MANY
@given(CHUNKS, st.randoms(use_true_random=False))
def test_whatever_is_sent_far_apart_is_stored_once(sqlite_store: Store, chunks, rng: random.Random):
    """Also where what is stored is looked up in several places, or in too many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "_NEAR", 2)
        patch.setattr(batch, "_MAX_WINDOWS", 3)
        send_and_compare(sqlite_store, chunks, rng)


def send_and_compare(store: Store, chunks, rng: random.Random) -> None:
    ids = [int(uuid.uuid4().hex[:15], 16) for _ in range(2)]
    made = [(which, seqs, event_chunk(sorted(seqs), process=ids[which])) for which, seqs in chunks]
    sent = made + rng.sample(made, rng.randint(0, len(made)))
    futures = []
    while sent:
        some, sent = split(sent, rng.randint(1, 4))
        at_once, in_transaction = split([chunk for _, _, chunk in some], rng.randint(0, 4))
        # What is made within the transaction is looked up in a second step.
        build = None if not in_transaction else lambda next_seq, some=in_transaction: some
        futures.append(store.writer.submit(IngestRequest(at_once, build=build)))
        if rng.random() < 0.3:
            futures[-1].result(20)
    receipts = [future.result(20) for future in futures]

    total = 0
    for which, process in enumerate(ids):
        expected = {seq: row for owner, _, chunk in made if owner == which for seq, row in events_in(chunk).items()}
        seqs, rows = rows_of(store, f"{process:016x}")
        assert sorted(seqs) == sorted(expected)
        assert rows == expected
        row = store.process(f"{process:016x}")
        assert (row.events if row else 0) == len(expected)
        assert covered(store, f"{process:016x}") == normalized((seq, seq + 1) for seq in expected)
        total += len(expected)
    assert sum(receipt.accepted for receipt in receipts) == total


def split(values, at):
    return values[:at], values[at:]


def covered(store: Store, process_id: str):
    with store.engine.connect() as connection:
        table = tables.coverage
        query = table.select().where(table.c.process_id == process_id).order_by(table.c.first_seq)
        return [(row.first_seq, row.end_seq) for row in connection.execute(query)]


@pytest.mark.parametrize("step", [1, 7])
def test_gaps_that_are_filled_leave_one_interval(sqlite_store: Store, step):
    """The table of intervals stays small however the events came."""
    numbers = list(range(1, 400))
    random.Random(step).shuffle(numbers)
    for start in range(0, len(numbers), step):
        sqlite_store.writer.submit(IngestRequest([event_chunk(numbers[start : start + step])]))
    sqlite_store.writer.submit(IngestRequest()).result(20)

    assert covered(sqlite_store, f"{0xA1:016x}") == [(1, 400)]
