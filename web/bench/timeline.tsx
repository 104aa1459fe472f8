/** The timeline alone, over a body given by `?body=`; `tools/bench/timeline.py` measures it. */

import { useState } from "react";
import { createRoot } from "react-dom/client";
import { decodeTimeline, type Timeline } from "../src/api/columns";
import type { Run, ThreadStep } from "../src/api/types";
import "../src/base/page.css";
import "../src/base/tokens.css";
import type { Selection, Zoom } from "../src/model/selection";
import { TimelinePanel } from "../src/views/timeline/TimelinePanel";

const words = new URLSearchParams(location.search);
document.documentElement.dataset.theme = words.get("theme") ?? "light";

interface Bench {
  timeline: Timeline;
  setZoom: (zoom: Zoom | null) => void;
  setSelection: (selection: Selection | null) => void;
  setThread: (thread: readonly ThreadStep[]) => void;
  /** Takes other columns, as those of a run that grew. */
  replace: (body: ArrayBuffer) => void;
  state: () => unknown;
  decodedMs: number;
}
declare global {
  interface Window {
    bench?: Bench;
  }
}

function Page({ first, decodedMs }: { first: Timeline; decodedMs: number }) {
  const [zoom, setZoom] = useState<Zoom | null>(null);
  const [selection, setSelection] = useState<Selection | null>(null);
  const [thread, setThread] = useState<readonly ThreadStep[]>([]);
  const [timeline, setTimeline] = useState(first);
  window.bench = {
    timeline,
    setZoom,
    setSelection,
    setThread,
    replace: (body) => setTimeline(decodeTimeline(body)),
    state: () => ({ zoom, selection }),
    decodedMs,
  };
  return (
    <TimelinePanel
      {...({ run: { id: timeline.head.run } as Run } as object)}
      timeline={timeline}
      selection={selection}
      onSelect={setSelection}
      thread={thread}
      zoom={zoom}
      onZoom={setZoom}
    />
  );
}

const body = await (await fetch(words.get("body") ?? "body.bin")).arrayBuffer();
const begun = performance.now();
const timeline = decodeTimeline(body);
const decodedMs = performance.now() - begun;
const root = document.getElementById("root");
if (root) createRoot(root).render(<Page first={timeline} decodedMs={decodedMs} />);
