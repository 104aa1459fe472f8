"""How long it takes until the timeline of a million events can be sent to a browser."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Plan, interleave_calls, run_json
from benchmarks.report import Section, Table, Target
from benchmarks.synthetic import write_recording

METHOD = """A synthetic recording (`benchmarks/synthetic.py`: a server, its requests as 31,000 tasks, locks, queues, threads, spans), each time in a new process; the start of the interpreter and imports are not counted.
*Decode* reads the recording's columns; *draw* works out steps, waits, lives, spans, rows and what woke what; *encode* writes the columns that are sent.
The peers get the same recording: `clew export --format perfetto`'s trace (what the Perfetto UI reads), and `json.dumps` of the same blocks as a list of objects.
All files are in the page cache."""
BECAUSE = "numpy sorts and searches a million rows some twenty times, on one core; sums in C over one pass would do"
DRAW = """
import json, sys, time
from clew.analysis.blocks import picture_of
from clew.analysis.timeline import timelines_of
from clew.convert.timeline_columns import BLOCKS, encode_timeline
from clew.format.reader import open_recording
begin = time.perf_counter()
timelines = timelines_of(open_recording(sys.argv[1]))
decoded = time.perf_counter()
run = timelines[0].stream.process["trace"]
picture = picture_of(timelines, run, 0)
drawn = time.perf_counter()
body = encode_timeline(picture, timelines, 0, {})
encoded = time.perf_counter()
figures = {"decode_s": decoded - begin, "draw_s": drawn - decoded, "encode_s": encoded - drawn,
           "total_s": encoded - begin, "bytes": len(body), "blocks": len(picture.blocks.start)}
"""
CASES = {
    "columns": DRAW + "print(json.dumps(figures))",
    "objects": DRAW
    + """
begin = time.perf_counter()
names = list(BLOCKS)
columns = [getattr(picture.blocks, name).tolist() for name in names]
text = json.dumps([dict(zip(names, values)) for values in zip(*columns)])
took = time.perf_counter() - begin
print(json.dumps({"decode_s": figures["decode_s"], "draw_s": figures["draw_s"], "encode_s": took,
                  "total_s": figures["decode_s"] + figures["draw_s"] + took, "bytes": len(text), "blocks": figures["blocks"]}))
""",
    "perfetto": """
import json, sys, time
from clew.convert.perfetto import trace_of
from clew.format.reader import open_recording
begin = time.perf_counter()
size = sum(map(len, trace_of(open_recording(sys.argv[1]))))
print(json.dumps({"total_s": time.perf_counter() - begin, "bytes": size}))
""",
}
LABELS = {
    "columns": "`GET /api/v1/runs/{run}/timeline`: columns",
    "objects": "the same blocks as JSON objects",
    "perfetto": "the trace for the Perfetto UI",
}


def measure(plan: Plan) -> Section:
    """Run it."""
    events = plan.size(1_000_000, 50_000)
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as name:
        plan.progress("writing the recording")
        recording = str(write_recording(Path(name) / "r.clew", events))
        calls = {
            case: lambda program=program: run_json((sys.executable, "-c", program, recording), name)[0]
            for case, program in CASES.items()
        }
        figures = interleave_calls(calls, plan)
    rows = [
        (
            label,
            *(
                figures[case][part].text(2) if part in figures[case] else ""
                for part in ("decode_s", "draw_s", "encode_s")
            ),
            figures[case]["total_s"].text(2),
            f"{figures[case]['bytes'].median / 1e6:,.0f} MB",
        )
        for case, label in LABELS.items()
    ]
    drawn = figures["columns"]["draw_s"].median + figures["columns"]["encode_s"].median
    return Section(
        "The timeline of a million events",
        METHOD,
        [Table("", ("what is sent", "decode, s", "draw, s", "encode, s", "in all, s", "size"), rows)],
        [
            Target("from decoded events to the columns", 0.7, drawn, " s", BECAUSE, digits=2),
            Target("decoding included", 1.3, figures["columns"]["total_s"].median, " s", BECAUSE, digits=2),
        ],
    )
