/** What happened in the run as a tree: what took time or went wrong, and what it was part of. */

import { type KeyboardEvent, type ReactNode, useEffect, useMemo, useState } from "react";
import { useTree } from "../../api/queries";
import type { RunTree } from "../../api/types";
import { count } from "../../base/format";
import { duration } from "../../base/time";
import { go, usePlace } from "../../model/place";
import { isSame } from "../../model/selection";
import { threadClass, threadMarks } from "../../model/thread_rows";
import { parentLine, type TreeLine, treeLines } from "../../model/tree";
import { Grid } from "../../widgets/Grid";
import { Failure, Skeleton } from "../../widgets/states";
import { useRunState } from "./context";
import { treeColumns } from "./tree_columns";
import "./tree.css";

const keyOf = (line: TreeLine) => line.id;

export function TreeTab(): ReactNode {
  const { run } = useRunState();
  const [isWhole, setIsWhole] = useState(false);
  const { data, error, refetch, isPlaceholderData } = useTree(run.id, isWhole);
  if (error && !data) return <Failure error={error} onRetry={() => void refetch()} />;
  if (!data) return <Skeleton label="Loading the tree" />;
  return (
    <div className="page">
      <div className="drawer-bar">
        <span className="muted">
          {count(data.items)} {data.items === 1 ? "thing" : "things"} happened
          {!isWhole &&
            data.threshold_ns > 0 &&
            `; what took less than ${duration(data.threshold_ns)} is left out unless it went wrong`}
        </span>
        <button
          type="button"
          className="text-button"
          onClick={() => setIsWhole(!isWhole)}
          disabled={isPlaceholderData}
        >
          {isWhole ? "Leave out what is short" : "Show everything"}
        </button>
      </div>
      <div className="page-list">
        <TreeGrid document={data} onWhole={() => setIsWhole(true)} />
      </div>
    </div>
  );
}

function TreeGrid({ document, onWhole }: { document: RunTree; onWhole: () => void }): ReactNode {
  const { show, steps, hues } = useRunState();
  const { selection } = usePlace();
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [at, setAt] = useState<string | null>(null);
  const lines = useMemo(() => treeLines(document.tree, folded), [document, folded]);
  const refs = useMemo(() => lines.map((line) => (line.omitted ? NOTHING : line.node)), [lines]);
  const marks = useMemo(() => threadMarks(refs, steps), [refs, steps]);
  const fold = (line: TreeLine, isFolded: boolean) => {
    const next = new Set(folded);
    if (isFolded) next.add(line.id);
    else next.delete(line.id);
    setFolded(next);
  };
  // Selected elsewhere: its line, if it has one, becomes the active one.
  useEffect(() => {
    setAt((before) => {
      const isIt = (line: TreeLine) => !line.omitted && isSame(selection, eventSelection(line));
      const known = lines.find((line) => line.id === before);
      return known && isIt(known) ? before : (lines.find(isIt)?.id ?? (selection ? null : before));
    });
  }, [selection, lines]);
  const activate = (line: TreeLine) => {
    setAt(line.id);
    if (line.omitted || line.node.seq <= 0) return;
    show(line.node);
  };
  const onKey = (event: KeyboardEvent, line: TreeLine | undefined, index: number): boolean => {
    if (!line) return false;
    if (event.key === "ArrowRight" && line.hasChildren) {
      const child = lines[index + 1];
      if (!line.isOpen) fold(line, false);
      else if (child) activate(child);
    } else if (event.key === "ArrowLeft") {
      const parent = lines[parentLine(lines, index)];
      if (line.isOpen) fold(line, true);
      else if (parent) activate(parent);
    } else return false;
    return true;
  };
  const open = (line: TreeLine) => {
    if (line.omitted) onWhole();
    else if (line.hasChildren) fold(line, line.isOpen);
    else go({ tab: "events" });
  };
  return (
    <Grid<TreeLine>
      id="tree"
      label="The run as a tree"
      isTree
      columns={treeColumns(document.tree.duration_ns ?? 0, hues, fold)}
      rows={lines}
      keyOf={keyOf}
      active={at}
      onActive={activate}
      onOpen={open}
      onKey={onKey}
      isPrimary
      rowHeight={26}
      rowProps={(line, i) => ({
        "aria-level": line.level,
        "aria-posinset": line.position,
        "aria-setsize": line.siblings,
        "aria-expanded": line.hasChildren ? line.isOpen : undefined,
        className: threadClass(marks, i),
      })}
    />
  );
}

const NOTHING = { process: "", seq: 0 };

function eventSelection(line: TreeLine) {
  return { type: "event", process: line.node.process, seq: line.node.seq } as const;
}
