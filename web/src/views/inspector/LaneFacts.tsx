/** A lane of the timeline, or a span: its process, and its events. */

import type { ReactNode } from "react";
import { quoted } from "../../model/filters";
import { go } from "../../model/place";
import type { Selection } from "../../model/selection";
import { useRunState } from "../run/context";
import { ProcessFacts } from "./ProcessFacts";
import { Section } from "./Section";

type Wide = Extract<Selection, { type: "lane" | "span" }>;

export function LaneFacts({ selection }: { selection: Wide }): ReactNode {
  const { run } = useRunState();
  const process = run.detail.processes.find((one) => one.process === selection.process);
  const name = selection.type === "lane" ? selection.lane : `span ${selection.span}`;
  const term = selection.type === "lane" ? ` scope:${quoted(selection.lane)}` : "";
  return (
    <>
      <header className="inspector-head">
        <h2>{name}</h2>
        <p>
          <span>{process?.label || process?.service || selection.process}</span>
        </p>
      </header>
      <div className="inspector-part">
        <button
          type="button"
          className="button"
          onClick={() => go({ tab: "events", filter: `process:${selection.process}${term}` })}
        >
          Show its events
        </button>
      </div>
      {process && (
        <Section title="Process">
          <ProcessFacts process={process} />
        </Section>
      )}
    </>
  );
}
