/** The timeline of a run. */

import type { ReactNode } from "react";
import type { Run, ThreadStep } from "../../api/types";
import type { Selection, Zoom } from "../../model/selection";

export interface TimelineProps {
  readonly run: Run;
  readonly selection: Selection | null;
  readonly onSelect: (selection: Selection | null) => void;
  /** The thread of causes to draw, from where it began. */
  readonly thread: readonly ThreadStep[];
  /** Null: the whole run. */
  readonly zoom: Zoom | null;
  readonly onZoom: (zoom: Zoom | null) => void;
}

export function TimelineView({ run }: TimelineProps): ReactNode {
  return <div className="muted">{run.name}</div>;
}
