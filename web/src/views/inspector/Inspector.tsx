/** At the right: what is selected, or the run itself. On a narrow page a sheet from below. */

import type { ReactNode } from "react";
import { select, usePlace } from "../../model/place";
import { EventFacts } from "./EventFacts";
import { LaneFacts } from "./LaneFacts";
import { RunFacts } from "./RunFacts";
import "./inspector.css";

export function Inspector(): ReactNode {
  const { selection } = usePlace();
  return (
    <aside className="inspector" aria-label="What is selected">
      {selection && (
        <button type="button" className="sheet-close" aria-label="Close" onClick={() => select(null)}>
          ×
        </button>
      )}
      {selection?.type === "event" && <EventFacts event={selection} />}
      {(selection?.type === "lane" || selection?.type === "span") && <LaneFacts selection={selection} />}
      {(!selection || selection.type === "run") && <RunFacts />}
    </aside>
  );
}
