/** Which blocks hold a text: in their label, their place or the name of their lane. */

import type { Timeline } from "../api/columns";

export interface Found {
  /** For each block 1 if it does. */
  readonly matches: Uint8Array;
  readonly count: number;
}

/** Finds the blocks that hold a text, without regard to case; null for an empty text. Complexity: O(n). */
export function find(timeline: Timeline, text: string): Found | null {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return null;
  const { head, blocks } = timeline;
  const holds = (texts: readonly string[]) =>
    Uint8Array.from(texts, (one) => (one.toLowerCase().includes(wanted) ? 1 : 0));
  const labels = holds(head.labels);
  const places = holds(head.places);
  const rows = new Uint8Array(head.rows);
  for (const lane of head.lanes)
    if (lane.name.toLowerCase().includes(wanted)) rows.fill(1, lane.first_row, lane.first_row + lane.rows);
  const matches = new Uint8Array(blocks.size);
  let count = 0;
  for (let i = 0; i < blocks.size; i++) {
    const does =
      (labels[blocks.label[i] as number] as number) |
      (places[blocks.place[i] as number] ?? 0) |
      (rows[blocks.row[i] as number] as number);
    matches[i] = does;
    count += does;
  }
  return { matches, count };
}
