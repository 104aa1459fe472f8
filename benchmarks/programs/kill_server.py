"""Kill a server again and again while clients send to it, and count what is there at the end.

Clients send chunks of their own processes in order, and send again what was not acknowledged.
At the end every event that was acknowledged must be stored, and none twice.

Prints a JSON object. Ends with 1 if anything was lost or doubled.

Usage: kill_server.py KILLS CLIENTS [STORE-URL]
"""

from __future__ import annotations

import collections
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from pathlib import Path

from clew.convert.stored import streams_of
from clew.format import schema
from clew.format.chunk import ChunkType, encode_json_chunk
from clew.format.events import Definitions, encode_event_chunk
from clew.format.tables import TYPECODES, planes_of
from clew.store.store import Store

MOST_EVENTS = 3000
LONGEST_LIFE_S = 0.8


def body_of(process, first, count):
    """A chunk of events whose columns are made from their numbers."""
    planes = []
    for spec in schema.EVENTS.columns:
        values = [seq * (spec.number + 1) % (1 << 8 * spec.width) for seq in range(first, first + count)]
        planes.append((spec.number, planes_of(array(TYPECODES[spec.width], values))))
    return encode_event_chunk(process, [(first, count)], planes, Definitions([], [], [], [], [], []))


class Client(threading.Thread):
    """Sends the events of one process until it is told to stop, and then until all is acknowledged."""

    def __init__(self, port, process, stop):
        super().__init__()
        self.port, self.process, self.stop = port, process, stop
        self.acknowledged = 0  # the last number
        self.requests = self.repeats = self.duplicates = 0
        self.problem = ""

    def run(self):
        choose = random.Random(self.process)
        self.send(encode_json_chunk(ChunkType.PROCESS, self.process, {"pid": self.process, "service": "killed"}))
        while not self.stop.is_set():
            count = choose.randint(1, MOST_EVENTS)
            self.send(body_of(self.process, self.acknowledged + 1, count))
            self.acknowledged += count
            self.requests += 1

    def send(self, body):
        """Send *body* until it is acknowledged."""
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("POST", "/api/v1/chunks", body)
                response = connection.getresponse()
                answer = response.read()
                connection.close()
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # there is nobody to wait for: the server is dead
                self.repeats += 1
                continue
            if response.status == 200:
                self.duplicates += json.loads(answer)["duplicates"]
                return
            if response.status not in (429, 503):
                self.problem = answer.decode()
                raise RuntimeError(self.problem)
            time.sleep(0.05)


def start(port, store):
    """Start the server; return it once it answers, and its port."""
    command = [sys.executable, "-m", "clew", "serve", "--port", str(port), "--store", store, "--no-worker"]
    if store.startswith("postgresql"):
        command += ["--blobs", tempfile.gettempdir()]
    environment = os.environ | {"CLEW_SERVER_LOG_LEVEL": "ERROR"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    line = server.stdout.readline()
    if not line:
        raise RuntimeError(f"the server did not start: {server.wait()}")
    return server, int(line.rpartition(":")[2])


def read_back(store, clients):
    """Return how many acknowledged events are missing, how many stand there twice, and how many there are."""
    ids = [f"{client.process:016x}" for client in clients]
    lost = doubled = total = 0
    with Store.open(store, tempfile.gettempdir() if store.startswith("postgresql") else None) as opened:
        streams = {stream.id: stream for stream in streams_of(opened, ids)}
        rows = {row.process_id: row for row in opened.processes(ids)}
        for client, id_ in zip(clients, ids, strict=True):
            counts = collections.Counter(map(int, streams[id_].data.columns["seq"])) if id_ in streams else {}
            lost += sum(seq not in counts for seq in range(1, client.acknowledged + 1))
            doubled += sum(count - 1 for count in counts.values())
            doubled += abs(rows[id_].events - len(counts))  # what the catalog says of it
            total += len(counts)
    return lost, doubled, total


def main():
    kills, number = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        store = sys.argv[3] if len(sys.argv) > 3 else str(Path(folder, "store"))
        choose = random.Random()
        stop = threading.Event()
        server, port = start(0, store)
        clients = [Client(port, 0x4B0000 + index, stop) for index in range(number)]
        for client in clients:
            client.start()
        for _ in range(kills):
            time.sleep(choose.uniform(0, LONGEST_LIFE_S))
            server.send_signal(signal.SIGKILL)
            server.wait()
            server, _ = start(port, store)
        stop.set()
        for client in clients:
            client.join()
        server.terminate()
        status = server.wait(30)
        lost, doubled, total = read_back(store, clients)
    figures = {
        "kills": kills,
        "acknowledged": sum(client.acknowledged for client in clients),
        "stored": total,
        "lost": lost,
        "doubled": doubled,
        "requests": sum(client.requests for client in clients),
        "repeats": sum(client.repeats for client in clients),
        "known_again": sum(client.duplicates for client in clients),
        "failed_clients": sum(bool(client.problem) for client in clients),
        "status": status,
    }
    print(json.dumps(figures))
    return 1 if lost or doubled or status or figures["failed_clients"] else 0


if __name__ == "__main__":
    sys.exit(main())
