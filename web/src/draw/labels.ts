/** What blocks and marks are called. */

import { BlockKind, BlockState, MarkKind } from "../api/columns";
import { plural } from "../base/format";
import { age, duration } from "../base/time";
import type { Picture } from "./hit";
import { laneOfRow } from "./lines";

/** The text on a block, after a sign where it did not end well. */
export function blockLabel(picture: Picture, block: number): string {
  const state = picture.timeline.blocks.state[block] as number;
  const name = blockName(picture, block);
  if (state & BlockState.failed) return `✕ ${name}`;
  return state & BlockState.cancelled ? `⊘ ${name}` : name;
}

/** What a block is called. A step of a lane that is called the same says where it went on instead. */
function blockName({ timeline }: Picture, block: number): string {
  const { blocks, head } = timeline;
  const label = head.labels[blocks.label[block] as number] ?? "";
  const kind = blocks.kind[block] as number;
  if (kind === BlockKind.wait) return label.startsWith("wait ") ? label.slice(5) : label;
  if (kind !== BlockKind.step) return label;
  const place = head.places[blocks.place[block] as number] ?? "";
  if (!place) return label;
  const lane = head.lanes[laneOfRow(head.lanes, blocks.row[block] as number)];
  return lane?.name === label ? place.slice(place.indexOf(" ") + 1) : label;
}

/** Says of a block what it is: "waited for lock Account.lock". */
export function blockText(picture: Picture, block: number): string {
  const { blocks, head } = picture.timeline;
  const label = head.labels[blocks.label[block] as number] ?? "";
  switch (blocks.kind[block]) {
    case BlockKind.step:
      return `${label} ran`;
    case BlockKind.ready:
      return "could run, and did not yet";
    case BlockKind.wait:
      return label === "wait" ? "waited" : `waited for ${blockName(picture, block)}`;
    case BlockKind.life:
      return `${label} existed`;
    default:
      return label;
  }
}

/** How it ended, in words; empty where it ended well. */
export function stateText(state: number): string {
  const words: string[] = [];
  if (state & BlockState.open) words.push("not ended");
  if (state & BlockState.failed) words.push("failed");
  if (state & BlockState.cancelled) words.push("cancelled or timed out");
  if (state & BlockState.inferred) words.push("inferred");
  return words.join(", ");
}

/** The process, thread and task of a row: outermost first. */
export function pathOf({ timeline }: Picture, row: number): readonly string[] {
  const { head } = timeline;
  const lane = head.lanes[laneOfRow(head.lanes, row)];
  if (!lane) return [];
  const process = head.processes[lane.process]?.label ?? "";
  const parent = lane.parent === null ? [] : [head.lanes[lane.parent]?.name ?? ""];
  return lane.kind === "spans" ? [process] : [process, ...parent, lane.name];
}

export function markText({ timeline }: Picture, mark: number): string {
  const { marks, head } = timeline;
  const label = head.labels[marks.label[mark] as number] ?? "";
  switch (marks.kind[mark]) {
    case MarkKind.error:
      return `error ${label}`;
    case MarkKind.unhandled:
      return `unhandled error ${label}`;
    case MarkKind.dropped:
      return `${plural(marks.count[mark] as number, "event")} dropped here`;
    case MarkKind.log:
      return `log ${label}`;
    default:
      return label;
  }
}

/** One sentence for people who do not see the picture. */
export function blockSentence(picture: Picture, block: number): string {
  const { blocks } = picture.timeline;
  const start = blocks.start[block] as number;
  const length = (blocks.end[block] as number) - start;
  const state = stateText(blocks.state[block] as number);
  const where = pathOf(picture, blocks.row[block] as number).join(", ");
  return `${blockText(picture, block)}, ${duration(length)} at ${age(start)}${state ? `, ${state}` : ""}; ${where}`;
}
