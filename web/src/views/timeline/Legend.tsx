/** Above the names: zoom, and what the colours and patterns mean. */

import type { ReactNode } from "react";
import type { Stage } from "../../draw/stage";

const KINDS = [
  [1, "ran", "A step: it ran"],
  [2, "ready", "It could run, and did not yet"],
  [3, "waits", "It waited for something"],
] as const;

export function Legend({ stage }: { stage: Stage | null }): ReactNode {
  return (
    <div className="tl-legend">
      {KINDS.map(([kind, word, title]) => (
        <span key={kind} className="tl-legend-kind" title={title}>
          <i className={`tl-swatch tl-swatch-${kind}`} />
          {word}
        </span>
      ))}
      <span className="tl-legend-buttons">
        <button type="button" title="Zoom out  (-)" aria-label="Zoom out" onClick={() => stage?.zoomBy(-1)}>
          −
        </button>
        <button type="button" title="Zoom in  (+)" aria-label="Zoom in" onClick={() => stage?.zoomBy(1)}>
          +
        </button>
        <button type="button" title="Fit the run  (f)" aria-label="Fit the run" onClick={() => stage?.fit()}>
          fit
        </button>
      </span>
    </div>
  );
}
