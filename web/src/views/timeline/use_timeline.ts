/** Fetches the columns of a run, and again when it grows: never so often that fetching is all there is. */

import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { useRef } from "react";
import { ask, path } from "../../api/client";
import { decodeTimeline, type Timeline } from "../../api/columns";

/** How many times as long as a fetch took nothing is fetched. */
const REST = 3;
/** Columns of a run that nobody looks at are megabytes: they go soon. */
const KEPT_MS = 20_000;

export function useTimeline(run: string): UseQueryResult<Timeline, Error> {
  const last = useRef({ ended: 0, took: 0 });
  return useQuery<Timeline, Error>({
    queryKey: ["run", run, "timeline"],
    queryFn: async ({ signal }) => {
      const wait = last.current.ended + REST * last.current.took - performance.now();
      if (wait > 0) await pause(wait, signal);
      const begun = performance.now();
      const answer = await ask(path(`runs/${encodeURIComponent(run)}/timeline`), { signal });
      const timeline = decodeTimeline(await answer.arrayBuffer());
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
