/** How the run stands: one line of facts, and what about it is incomplete. */

import type { ReactNode } from "react";
import type { RunDetail } from "../../api/types";
import { count, plural } from "../../base/format";
import { duration, timeOfDay } from "../../base/time";
import { go } from "../../model/place";
import { StatusMark } from "../../widgets/marks";

export function RunHead({ run }: { run: RunDetail }): ReactNode {
  return (
    <header className="run-head">
      <dl className="facts">
        <Fact name="Status">
          <StatusMark status={run.status} isNamed />
        </Fact>
        <Fact name="Took">{duration(run.duration_ns)}</Fact>
        <Fact name="Started">
          <time dateTime={run.started_at} title={run.started_at}>
            {timeOfDay(run.started_at)}
          </time>
        </Fact>
        <Fact name="Service">
          {run.services.length > 1 ? plural(run.services.length, "service") : run.service}
        </Fact>
        {run.environment && <Fact name="Environment">{run.environment}</Fact>}
        <Fact name="Events">
          <button type="button" className="fact-link" onClick={() => go({ tab: "events", filter: "" })}>
            {count(run.events)}
          </button>
        </Fact>
        <Fact name="Errors">
          {run.errors > 0 ? (
            <button
              type="button"
              className="fact-link is-bad"
              onClick={() => go({ tab: "events", filter: "has:error" })}
            >
              {count(run.errors)}
            </button>
          ) : (
            "0"
          )}
        </Fact>
      </dl>
      {run.health.length > 0 && (
        <ul className="health" aria-label="What is incomplete">
          {run.health.map((one) => (
            <li key={one.reason} title={one.reason}>
              {one.text}
            </li>
          ))}
        </ul>
      )}
    </header>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }): ReactNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
