/** What a block or mark of the picture is in the language of the page, and the other way round. */

import { BlockKind, type Timeline } from "../../api/columns";
import type { ThreadStep } from "../../api/types";
import type { Picture } from "../../draw/hit";
import { blockOfEvent, type Hit } from "../../draw/hit";
import type { ThreadStepOnRow } from "../../draw/overlay";
import type { Selection } from "../../model/selection";

/** The event that selecting something selects: of a wait that ended its end, whose causes say why it took so long. */
export function selectionOf({ timeline, lines }: Picture, hit: Hit): Selection | null {
  const { head, blocks, marks } = timeline;
  if (hit.type === "line") {
    const line = lines.lines[hit.line];
    const process = head.processes[line?.process ?? -1]?.process;
    const lane = head.lanes[line?.lane ?? -1]?.name;
    return process && lane ? { type: "lane", process, lane } : null;
  }
  if (hit.type === "mark")
    return eventAt(timeline, marks.process[hit.mark] as number, marks.seq[hit.mark] as number);
  const end = blocks.end_seq[hit.block] as number;
  const begin = blocks.seq[hit.block] as number;
  const isWait = blocks.kind[hit.block] === BlockKind.wait;
  return eventAt(timeline, blocks.process[hit.block] as number, (isWait && end) || begin || end);
}

function eventAt({ head }: Timeline, at: number, seq: number): Selection | null {
  const process = head.processes[at]?.process;
  return process && seq ? { type: "event", process, seq } : null;
}

/** The block of a selection, -1 if it has none; `known` is the block that was selected here, if it still is. */
export function blockOf(picture: Picture, selection: Selection | null, known: number): number {
  if (selection?.type !== "event") return -1;
  if (known >= 0 && known < picture.timeline.blocks.size) {
    const mine = selectionOf(picture, { type: "block", block: known, line: -1 });
    if (mine?.type === "event" && mine.process === selection.process && mine.seq === selection.seq)
      return known;
  }
  return blockOfEvent(picture.timeline, selection.process, selection.seq);
}

export interface Spot {
  readonly row: number;
  readonly from: number;
  readonly to: number;
}

/** Where a selection is: its step of the thread, else its block, else its mark; null if that is not known (yet). */
export function spotOf(
  { timeline }: Picture,
  selection: Selection | null,
  block: number,
  steps: readonly ThreadStepOnRow[],
): Spot | null {
  const { blocks, marks, head } = timeline;
  // A step of the thread is a moment; its block may be as long as the run.
  const step = steps.find((one) => one.isSelected && one.row >= 0);
  if (step) return { row: step.row, from: step.t, to: step.t };
  if (block >= 0)
    return {
      row: blocks.row[block] as number,
      from: blocks.start[block] as number,
      to: blocks.end[block] as number,
    };
  if (selection?.type !== "event") return null;
  for (let i = 0; i < marks.size; i++)
    if (
      marks.seq[i] === selection.seq &&
      head.processes[marks.process[i] as number]?.process === selection.process
    )
      return { row: marks.row[i] as number, from: marks.t[i] as number, to: marks.t[i] as number };
  return null;
}

/** The steps of a thread on the rows of the picture. */
export function threadOnRows(
  { head, blocks }: Timeline,
  steps: readonly ThreadStep[],
  selection: Selection | null,
): ThreadStepOnRow[] {
  return steps.map((step) => {
    const block = step.block !== null && step.block < blocks.size ? step.block : -1;
    return {
      t: step.t_ns,
      until: Math.max(step.until_ns ?? step.t_ns, step.t_ns),
      block,
      row: block >= 0 ? (blocks.row[block] as number) : -1,
      process: head.processes.findIndex((one) => one.process === step.process),
      isSelected:
        selection?.type === "event" && selection.process === step.process && selection.seq === step.seq,
    };
  });
}
