/** The keys of the timeline: those that make sense anywhere are actions of the page, the others need the focus. */

import { type KeyboardEvent, useEffect, useState } from "react";
import { type Hit, inNextLine, neighbour, type Picture } from "../../draw/hit";
import { type Folds, type Line, laneKeys, laneOfRow, processKey, toggled } from "../../draw/lines";
import type { Stage } from "../../draw/stage";
import { useActions } from "../../model/keys";
import { spotOf } from "./selecting";

interface KeysOf {
  readonly stage: Stage | null;
  readonly picture: Picture;
  readonly selected: number;
  readonly seen: { readonly first: number; readonly last: number };
  readonly select: (hit: Hit | null) => void;
  readonly folds: Folds;
  readonly setFolds: (folds: Folds) => void;
}

interface Keys {
  /** The block the keyboard is at; -1 for none. */
  readonly focused: number;
  readonly onKeyDown: (event: KeyboardEvent) => void;
}

export function useTimelineKeys(of: KeysOf): Keys {
  const { stage, picture, selected, seen, select } = of;
  const [focused, setFocused] = useState(-1);
  const at = focused >= 0 && focused < picture.timeline.blocks.size ? focused : selected;
  useEffect(() => stage?.setFocused(focused), [stage, focused]);
  // Blocks have other numbers in new columns.
  const { timeline } = picture;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `timeline` is the trigger
  useEffect(() => setFocused(-1), [timeline]);
  useActions([
    { id: "timeline.left", title: "Pan left", key: "h", group: "Timeline", run: () => stage?.panBy(-1) },
    { id: "timeline.right", title: "Pan right", key: "l", group: "Timeline", run: () => stage?.panBy(1) },
    {
      id: "timeline.in",
      title: "Zoom in",
      key: "+",
      otherKeys: ["="],
      group: "Timeline",
      run: () => stage?.zoomBy(1),
    },
    { id: "timeline.out", title: "Zoom out", key: "-", group: "Timeline", run: () => stage?.zoomBy(-1) },
    { id: "timeline.fit", title: "Fit the run", key: "f", group: "Timeline", run: () => stage?.fit() },
    {
      id: "timeline.fit-selection",
      title: "Zoom to the selection",
      key: "z",
      group: "Timeline",
      run: () => at >= 0 && stage?.fitBlock(at),
    },
  ]);
  const go = (block: number) => {
    if (block < 0) return;
    setFocused(block);
    const spot = spotOf(picture, null, block, []);
    if (spot) stage?.reveal(spot);
  };
  const beside = (step: 1 | -1) =>
    go(at >= 0 ? neighbour(picture, at, step) : firstSeen(picture, seen.first, stage));
  const across = (step: 1 | -1) => {
    if (at < 0) return go(firstSeen(picture, seen.first, stage));
    const line = picture.lines.lineOfRow[picture.timeline.blocks.row[at] as number] ?? 0;
    go(inNextLine(picture, line, middleIn(picture, at, stage), step));
  };
  const does = new Map<string, () => void>([
    ["ArrowRight", () => beside(1)],
    ["j", () => beside(1)],
    ["ArrowLeft", () => beside(-1)],
    ["k", () => beside(-1)],
    ["ArrowDown", () => across(1)],
    ["ArrowUp", () => across(-1)],
    ["Home", () => stage?.panBy(-1000)],
    ["End", () => stage?.panBy(1000)],
    [" ", () => at >= 0 && of.setFolds(foldedAround(of, at))],
    ["Enter", () => at >= 0 && select({ type: "block", block: at, line: -1 })],
  ]);
  const onKeyDown = (event: KeyboardEvent) => {
    // Buttons and the line between names and picture have keys of their own.
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && focused >= 0) {
      setFocused(-1);
      event.preventDefault();
      return;
    }
    const action = does.get(event.key);
    if (!action) return;
    event.preventDefault();
    action();
  };
  return { focused, onKeyDown };
}

/** The time at which to look in the next line: the middle of what is seen of a block. */
function middleIn({ timeline }: Picture, block: number, stage: Stage | null): number {
  const { from, to } = stage?.window ?? { from: 0, to: 0 };
  const start = Math.max(timeline.blocks.start[block] as number, from);
  const end = Math.min(timeline.blocks.end[block] as number, to);
  return (start + Math.max(start, end)) / 2;
}

function firstSeen(picture: Picture, first: number, stage: Stage | null): number {
  const { from, to } = stage?.window ?? { from: 0, to: 0 };
  return inNextLine(picture, first - 1, (from + to) / 2, 1);
}

/** Folds the lane of a block, or unfolds it. */
function foldedAround({ picture, folds }: KeysOf, block: number): Folds {
  const { head, blocks } = picture.timeline;
  const row = blocks.row[block] as number;
  const line = picture.lines.lines[picture.lines.lineOfRow[row] ?? -1] as Line | undefined;
  const key = laneKeys(picture.timeline)[laneOfRow(head.lanes, row)];
  if (!line || key === undefined) return folds;
  return line.isFoldable
    ? toggled(folds, key, line.isFolded)
    : toggled(folds, processKey(head, line.process), false);
}
