"""Send bodies to a server over a few connections, and print how many events a second were acknowledged.

Usage: ingest_load.py PORT ROUTE KIND EVENTS PER_REQUEST CONNECTIONS
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time

from benchmarks.programs import ingest_bodies

MEDIA_TYPES = {
    "chunks": "application/vnd.clew.chunks",
    "json_events": "application/json",
    "spans": "application/x-protobuf",
}


def main():
    port, route, kind, events, per_request, connections = sys.argv[1:]
    bodies = getattr(ingest_bodies, kind)(int(events), int(per_request))
    lanes = [bodies[number :: int(connections)] for number in range(int(connections))]
    headers = {"Content-Type": MEDIA_TYPES[kind]}
    done = [0] * len(lanes)
    latencies = []
    barrier = threading.Barrier(len(lanes) + 1)

    def send(lane):
        connection = http.client.HTTPConnection("127.0.0.1", int(port))
        connection.connect()
        barrier.wait()
        for body in lanes[lane]:
            while True:
                begin = time.perf_counter()
                connection.request("POST", route, body.data, headers)
                response = connection.getresponse()
                answer = response.read()
                if response.status not in (429, 503):
                    break
                time.sleep(float(response.headers["Retry-After"]))
            assert response.status == 200, answer
            latencies.append(time.perf_counter() - begin)
            done[lane] += body.events
        connection.close()

    threads = [threading.Thread(target=send, args=(lane,)) for lane in range(len(lanes))]
    for thread in threads:
        thread.start()
    barrier.wait()
    cpu, begin = os.times(), time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    used = os.times()
    latencies.sort()
    figures = {
        "rate": sum(done) / seconds,
        "requests": len(bodies) / seconds,
        "bytes": sum(len(body.data) for body in bodies) / sum(done),
        "client_cpu_s": used.user + used.system - cpu.user - cpu.system,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
