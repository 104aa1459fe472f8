/** What is known of a process. */

import type { ReactNode } from "react";
import type { Process } from "../../api/types";
import { count, plural } from "../../base/format";
import { duration, moment } from "../../base/time";
import { hueOf } from "../../model/processes";
import { useRunState } from "../run/context";

export function ProcessFacts({ process }: { process: Process }): ReactNode {
  const { hues } = useRunState();
  const problems = Object.entries(process.problems ?? {});
  return (
    <div className="process">
      <p className="process-name">
        <span className="hued" style={{ borderColor: hueOf(hues, process.process) }}>
          {process.label || process.service}
        </span>
        <span className="muted">
          {ended(process)} · {moment(process.start_ns)} · {duration(process.duration_ns)}
        </span>
      </p>
      <p className="process-facts">
        pid {process.pid}
        {process.host && ` on ${process.host}`}
        {process.python && ` · Python ${process.python}`} · {plural(process.events, "event")} ·{" "}
        {plural(process.tasks, "task")} · {plural(process.threads, "thread")}
      </p>
      {process.argv.length > 0 && (
        <code className="process-argv" title={process.argv.join(" ")}>
          {process.argv.join(" ")}
        </code>
      )}
      {process.dropped > 0 && <p className="process-problem">{count(process.dropped)} events were dropped</p>}
      {problems.map(([name, value]) => (
        <p key={name} className="process-problem">
          {name}: {String(value)}
        </p>
      ))}
    </div>
  );
}

function ended(process: Process): string {
  if (process.signal) return `killed by ${process.signal}`;
  return process.exit === null ? process.state : `exit ${process.exit}`;
}
