/** The timeline of a run: fetches it, and keeps what is drawn and the address of the page in step. */

import type { ReactNode } from "react";
import type { Run, ThreadStep } from "../../api/types";
import type { Selection, Zoom } from "../../model/selection";
import { Empty, Failure, Skeleton } from "../../widgets/states";
import { TimelinePanel } from "./TimelinePanel";
import { useTimeline } from "./use_timeline";

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

export function TimelineView(props: TimelineProps): ReactNode {
  const { data: timeline, error, refetch } = useTimeline(props.run.id);
  if (timeline && !timeline.blocks.size && !timeline.marks.size)
    return <Empty title="Nothing to draw">No task, thread or span of this run was recorded.</Empty>;
  if (timeline) return <TimelinePanel {...props} timeline={timeline} />;
  if (error) return <Failure error={error} onRetry={() => void refetch()} />;
  return <Skeleton lines={8} label="Loading the timeline" />;
}
