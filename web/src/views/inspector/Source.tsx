/** Where an event is in the code: the lines around it, where the server may show them, and the calls above it. */

import { type ReactNode, useState } from "react";
import { useSource } from "../../api/queries";
import type { EventDetail } from "../../api/types";
import { place, shortPath } from "../../base/format";
import { useRunState } from "../run/context";
import { Section } from "./Section";

/** Lines shown above and below the one that is meant. */
const AROUND = 4;

export function Source({ event }: { event: EventDetail }): ReactNode {
  const { run } = useRunState();
  const { data } = useSource(run.id, event.process, event.detail.site_id);
  const [isAll, setIsAll] = useState(false);
  const from = data && !isAll ? Math.max(0, data.line - data.first_line - AROUND) : 0;
  const shown = data?.lines.slice(from, isAll ? undefined : from + 2 * AROUND + 1) ?? [];
  return (
    <Section
      title="Where"
      note={<code title={event.file ?? ""}>{place(event.file ?? "", event.line, event.function ?? "")}</code>}
    >
      {data && (
        <pre className="source" role="figure" aria-label={`${shortPath(data.file)}, line ${data.line}`}>
          {shown.map((line, i) => {
            const number = data.first_line + from + i;
            return (
              <span key={number} className={number === data.line ? "source-line is-here" : "source-line"}>
                <span className="source-number">{number}</span>
                <code>{line || " "}</code>
              </span>
            );
          })}
        </pre>
      )}
      {data && shown.length < data.lines.length && (
        <button type="button" className="text-button" onClick={() => setIsAll(true)}>
          Show more lines
        </button>
      )}
    </Section>
  );
}

export function Stack({ event }: { event: EventDetail }): ReactNode {
  return (
    <Section title="Stack" note="innermost first">
      <ol className="stack">
        {event.detail.stack.map((frame, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a recursion has one frame many times
          <li key={i}>
            <span>{frame.function}</span>
            <code className="muted" title={`${frame.file}:${frame.line}`}>
              {shortPath(frame.file)}:{frame.line}
            </code>
          </li>
        ))}
      </ol>
    </Section>
  );
}
