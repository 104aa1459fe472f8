/** Where an event is in the code: the lines around it, where the server may show them, and the calls above it. */

import type { ReactNode } from "react";
import { useSource } from "../../api/queries";
import type { EventDetail } from "../../api/types";
import { place, shortPath } from "../../base/format";
import { useRunState } from "../run/context";
import { Section } from "./Section";

export function Source({ event }: { event: EventDetail }): ReactNode {
  const { run } = useRunState();
  const { data } = useSource(run.id, event.process, event.detail.site_id);
  return (
    <Section
      title="Where"
      note={<code title={event.file ?? ""}>{place(event.file ?? "", event.line, event.function ?? "")}</code>}
    >
      {data && (
        <pre className="source" role="figure" aria-label={`${shortPath(data.file)}, line ${data.line}`}>
          {data.lines.map((line, i) => {
            const number = data.first_line + i;
            return (
              <span key={number} className={number === data.line ? "source-line is-here" : "source-line"}>
                <span className="source-number">{number}</span>
                <code>{line || " "}</code>
              </span>
            );
          })}
        </pre>
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
