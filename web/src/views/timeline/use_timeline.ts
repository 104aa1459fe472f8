/** Fetches the columns of a run, and again when it grows: never so often that fetching is all there is. */

import { type UseQueryResult, usePrefetchQuery, useQuery } from "@tanstack/react-query";
import { useRef } from "react";
import { ask, path } from "../../api/client";
import { decodeTimeline, type Timeline } from "../../api/columns";

/** How many times as long as a fetch took nothing is fetched. */
const REST = 3;
/** Columns of a run that nobody looks at are megabytes: they go soon. */
const KEPT_MS = 20_000;

const keyOf = (run: string) => ["run", run, "timeline"];

async function fetchTimeline(run: string, signal: AbortSignal): Promise<Timeline> {
  const answer = await ask(path(`runs/${encodeURIComponent(run)}/timeline`), { signal });
  return decodeTimeline(await answer.arrayBuffer());
}

/** Asks for the columns at once, while the code that draws them and the run itself are still on their way. */
export function usePrefetchTimeline(run: string): void {
  usePrefetchQuery<Timeline, Error>({
    queryKey: keyOf(run),
    queryFn: ({ signal }) => fetchTimeline(run, signal),
    structuralSharing: false,
    gcTime: KEPT_MS,
  });
}

export function useTimeline(run: string): UseQueryResult<Timeline, Error> {
  const last = useRef({ ended: 0, took: 0 });
  return useQuery<Timeline, Error>({
    queryKey: keyOf(run),
    queryFn: async ({ signal }) => {
      const wait = last.current.ended + REST * last.current.took - performance.now();
      if (wait > 0) await pause(wait, signal);
      const begun = performance.now();
      const timeline = await fetchTimeline(run, signal);
      last.current = { ended: performance.now(), took: performance.now() - begun };
      return timeline;
    },
    // Comparing a million numbers with those before costs more than taking them.
    structuralSharing: false,
    gcTime: KEPT_MS,
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
