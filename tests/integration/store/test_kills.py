"""A process that stores is killed again and again: what it acknowledged is there, once."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.chunks import PROCESS_ID, stored_data

SENDER = """
import sys
from clew.store.batch import IngestRequest
from clew.store.store import Store
from tests.support.chunks import event_chunk

store = Store.open(sys.argv[1], sys.argv[2])
first = int(sys.argv[3])
while True:
    futures = [store.writer.submit(IngestRequest([event_chunk(range(i, i + 14))])) for i in range(first, first + 100, 10)]
    for i, future in enumerate(futures):
        future.result()
        sys.stdout.write(f"{first + 10 * i}\\n")
        sys.stdout.flush()
    first += 100
"""
KILLS = 6


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_what_was_acknowledged_outlives_kills(backend, tmp_path, request):
    """Each sender goes on where the acknowledgements of the one before end."""
    from clew.store.store import Store

    url = str(tmp_path / "store") if backend == "sqlite" else request.getfixturevalue("postgresql_database")
    blobs = str(tmp_path / "blobs")
    rng = random.Random(1)
    acknowledged: set[int] = set()
    first = 1
    for _ in range(KILLS):
        sender = subprocess.Popen(
            [sys.executable, "-c", SENDER, url, blobs, str(first)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert sender.stdout is not None
        for _ in range(rng.randint(1, 90)):
            first = int(sender.stdout.readline())
            acknowledged.update(range(first, first + 14))
        sender.send_signal(signal.SIGKILL)
        for line in sender.stdout.read().splitlines(keepends=True):
            if line.endswith("\n"):
                acknowledged.update(range(int(line), int(line) + 14))
        sender.stdout.close()
        assert sender.wait(10) == -signal.SIGKILL

    with Store.open(url, blobs) as store:
        seqs = list(stored_data(store).columns["seq"])
        events = store.process(PROCESS_ID).events

    assert acknowledged <= set(seqs)
    assert len(seqs) == len(set(seqs)) == events
