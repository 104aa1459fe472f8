/** How long the longest run of each name took, among those that are here. */

import type { Run } from "../../api/types";

/** Names that only one run has are left out: it has nothing to be compared with. */
export function longestByName(runs: readonly Run[]): ReadonlyMap<string, number> {
  const longest = new Map<string, number>();
  const counts = new Map<string, number>();
  for (const run of runs) {
    longest.set(run.name, Math.max(longest.get(run.name) ?? 0, run.duration_ns));
    counts.set(run.name, (counts.get(run.name) ?? 0) + 1);
  }
  for (const [name, count] of counts) if (count < 2) longest.delete(name);
  return longest;
}
