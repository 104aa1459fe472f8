/** One run: the timeline above, its tree, events and services below, what is selected at the right. */

import { type CSSProperties, lazy, type ReactNode, Suspense, useEffect, useMemo } from "react";
import { useEvent, useRun, useThread } from "../../api/queries";
import type { RunDetail } from "../../api/types";
import { useActions } from "../../model/keys";
import { go, select, usePlace } from "../../model/place";
import { processHues } from "../../model/processes";
import { type EventRef, eventOf, threadOf } from "../../model/selection";
import { back, forth, walkTo } from "../../model/walk";
import { Splitter, useSize } from "../../widgets/Splitter";
import { Failure, Skeleton } from "../../widgets/states";
import { Inspector } from "../inspector/Inspector";
import { usePrefetchTimeline } from "../timeline/use_timeline";
import { RunContext, type RunState } from "./context";
import { Drawer } from "./Drawer";
import { FindingBanner } from "./FindingBanner";
import { RunHead } from "./RunHead";
import "./run.css";

// Asked for as soon as this is here: not only once the run is known.
const timelineView = import("../timeline/TimelineView");
const TimelineView = lazy(() => timelineView.then((m) => ({ default: m.TimelineView })));

export default function RunView(): ReactNode {
  const { run: id } = usePlace();
  usePrefetchTimeline(id);
  const { data: run, error, refetch } = useRun(id);
  useEffect(() => {
    if (run) document.title = `${run.name} · clew`;
  }, [run]);
  if (run) return <OpenRun key={run.id} run={run} />;
  if (error) return <Failure error={error} onRetry={() => void refetch()} />;
  return <Skeleton lines={16} label="Loading the run" />;
}

const NONE: readonly never[] = [];

function OpenRun({ run }: { run: RunDetail }): ReactNode {
  const place = usePlace();
  const { data: thread } = useThread(run.id, threadOf(place));
  const { data: event } = useEvent(run.id, eventOf(place.selection));
  const steps = thread?.steps ?? NONE;
  const hues = useMemo(() => processHues(run.detail.processes), [run.detail.processes]);
  useActions([
    {
      id: "thread.back",
      title: "One cause back",
      key: "[",
      group: "Thread",
      run: () => go(back(steps, place) ?? {}),
    },
    {
      id: "thread.forth",
      title: "One cause forth",
      key: "]",
      group: "Thread",
      run: () => go(forth(steps, event?.detail.effects ?? NONE, place) ?? {}),
    },
    { id: "run.tree", title: "Show the tree", key: "t", group: "View", run: () => go({ tab: "tree" }) },
    { id: "run.events", title: "Show the events", key: "e", group: "View", run: () => go({ tab: "events" }) },
    {
      id: "run.services",
      title: "Show the services",
      key: "s",
      group: "View",
      run: () => go({ tab: "services" }),
    },
  ]);
  const state = useMemo<RunState>(
    () => ({
      run,
      hues,
      steps,
      show: (ref: EventRef) => select({ type: "event", process: ref.process, seq: ref.seq }),
      walk: (ref: EventRef) => go(walkTo(ref, place)),
    }),
    [run, hues, steps, place],
  );
  return (
    <RunContext value={state}>
      <Panes run={run} state={state} />
    </RunContext>
  );
}

function Panes({ run, state }: { run: RunDetail; state: RunState }): ReactNode {
  const { selection, zoom } = usePlace();
  const [height, setHeight] = useSize("timeline", { least: 96, most: 2000, usual: 340 });
  const [width, setWidth] = useSize("inspector", { least: 260, most: 1200, usual: 400 });
  const sizes = { "--timeline": `${height}px`, "--inspector": `${width}px` } as CSSProperties;
  return (
    <div className={`run${selection ? " has-selection" : ""}`} style={sizes}>
      <div className="run-main">
        <RunHead run={run} />
        <FindingBanner run={run} />
        <section className="run-timeline" aria-label="Timeline">
          <Suspense fallback={<Skeleton lines={6} label="Loading the timeline" />}>
            <TimelineView
              run={run}
              selection={selection}
              onSelect={select}
              thread={state.steps}
              zoom={zoom}
              onZoom={(next) => go({ zoom: next })}
            />
          </Suspense>
        </section>
        <Splitter
          label="Height of the timeline"
          orientation="horizontal"
          size={height}
          onSize={setHeight}
          changes="before"
        />
        <Drawer />
      </div>
      <Splitter
        label="Width of the inspector"
        orientation="vertical"
        size={width}
        onSize={setWidth}
        changes="after"
      />
      <Inspector />
    </div>
  );
}
