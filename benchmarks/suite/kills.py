"""Whether anything that was acknowledged is lost when the server is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import Plan, clean_environ
from benchmarks.report import Section, Table, Target

ROOT = Path(__file__).parent.parent.parent
METHOD = """Four clients send chunks of up to 3,000 events to one `clew serve` on SQLite, each waiting for its answer, and send again what was not acknowledged. Meanwhile the server gets SIGKILL at a random
moment within 0.8 s of its start, and is started again, over and over (`benchmarks/programs/kill_server.py`). At the end all events are read back out of the store: an acknowledged one that is not there is
*lost*, one that stands there twice is *doubled*. *Known again* are events that had become durable before their acknowledgement was cut off: the server tells them from new ones."""


def measure(plan: Plan) -> Section:
    """Run it."""
    kills = plan.size(40, 3)
    plan.progress(f"{kills} kills")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.programs.kill_server", str(kills), "4"],
        capture_output=True, text=True, check=False, cwd=ROOT, env=clean_environ(),
    )  # fmt: skip
    if not done.stdout.strip():
        raise RuntimeError(f"kill_server.py failed: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    names = ("kills", "acknowledged", "stored", "lost", "doubled", "known_again")
    return Section(
        "Killed while it takes events in",
        METHOD,
        [Table("", ("kills", "acknowledged", "stored", "lost", "doubled", "known again"), [tuple(f"{found[name]:,}" for name in names)])],
        [
            Target("acknowledged events that are lost", 0, found["lost"], ""),
            Target("events that are stored twice", 0, found["doubled"], ""),
        ],
    )  # fmt: skip
