/** Lays the blocks out on lines; what is folded outlives new columns. */

import { type RefObject, useCallback, useMemo, useState } from "react";
import type { Timeline } from "../../api/columns";
import { marksOfRows, type Picture } from "../../draw/hit";
import { type Folds, linesOf, NO_FOLDS, revealing, showing, toggled } from "../../draw/lines";
import type { ThreadStepOnRow } from "../../draw/overlay";
import { tracksOf } from "../../draw/tracks";
import type { Selection } from "../../model/selection";
import { blockOf } from "./selecting";

interface Pictured {
  readonly picture: Picture;
  readonly folds: Folds;
  readonly setFolds: (folds: Folds) => void;
  readonly fold: (key: string, isFolded: boolean) => void;
  readonly more: (process: string, isShown: boolean) => void;
}

export function usePicture(
  timeline: Timeline,
  thread: unknown,
  steps: readonly ThreadStepOnRow[],
  selection: Selection | null,
  selectedHere: RefObject<number>,
): Pictured {
  const [folds, setFolds] = useState<Folds>(NO_FOLDS);
  const tracks = useMemo(() => tracksOf(timeline), [timeline]);
  const marksOf = useMemo(() => marksOfRows(timeline), [timeline]);
  // A thread and a selection unfold what hides them, once: who folds it again means it.
  const [revealed, setRevealed] = useState<readonly [unknown, unknown]>([null, null]);
  const threadRows = useMemo(() => steps.flatMap(({ row }) => (row >= 0 ? [row] : [])), [steps]);
  let current = folds;
  if (revealed[0] !== thread || revealed[1] !== selection) {
    current = revealing(timeline, current, threadRows, false);
    const picture = { timeline, tracks, marksOf, lines: linesOf(timeline, tracks, current) };
    const block = blockOf(picture, selection, selectedHere.current);
    if (block >= 0) current = revealing(timeline, current, [timeline.blocks.row[block] as number], true);
    setRevealed([thread, selection]);
    if (current !== folds) setFolds(current);
  }
  const lines = useMemo(() => linesOf(timeline, tracks, current), [timeline, tracks, current]);
  const picture = useMemo(() => ({ timeline, tracks, lines, marksOf }), [timeline, tracks, lines, marksOf]);
  const fold = useCallback(
    (key: string, isFolded: boolean) => setFolds((before) => toggled(before, key, isFolded)),
    [],
  );
  const more = useCallback(
    (process: string, isShown: boolean) => setFolds((before) => showing(before, process, isShown)),
    [],
  );
  return { picture, folds, setFolds, fold, more };
}
