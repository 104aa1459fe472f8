/** What a line of the tree says. */

import type { CSSProperties, ReactNode } from "react";
import type { TreeNode } from "../../api/types";
import { count } from "../../base/format";
import { age, duration } from "../../base/time";
import { hueOf, type ProcessHues } from "../../model/processes";
import type { TreeLine } from "../../model/tree";
import type { Column } from "../../widgets/Grid";

type Fold = (line: TreeLine, isFolded: boolean) => void;

/** Outcomes that go without saying. */
const SAID = ["ok", "", "raised"];

export function treeColumns(wholeNs: number, hues: ProcessHues, fold: Fold): readonly Column<TreeLine>[] {
  return [
    {
      id: "what",
      title: "What",
      width: "minmax(240px, 2.6fr)",
      cell: (line) => <What line={line} fold={fold} />,
    },
    {
      id: "at",
      title: "At",
      width: "84px",
      align: "right",
      from: 620,
      cell: (line) => (line.omitted ? "" : age(line.node.first_ns)),
    },
    {
      id: "took",
      title: "Took",
      width: "76px",
      align: "right",
      cell: (line) => (line.omitted ? "" : duration(line.node.total_ns)),
    },
    {
      id: "when",
      title: "When",
      width: "minmax(120px, 1.4fr)",
      from: 720,
      cell: (line) => <When line={line} wholeNs={wholeNs} />,
    },
    {
      id: "ran",
      title: "Ran",
      width: "72px",
      align: "right",
      from: 1000,
      cell: (line) => (line.omitted ? "" : duration(line.node.ran_ns)),
    },
    {
      id: "outcome",
      title: "Outcome",
      width: "76px",
      from: 900,
      cell: (line) => <OutcomeWord line={line} />,
    },
    {
      id: "service",
      title: "Service",
      width: "minmax(80px, 0.7fr)",
      from: 900,
      cell: (line) => <Service line={line} hues={hues} />,
    },
    {
      id: "site",
      title: "Where",
      width: "minmax(110px, 1.2fr)",
      from: 1100,
      cell: (line) => <Where line={line} />,
    },
  ];
}

function What({ line, fold }: { line: TreeLine; fold: Fold }): ReactNode {
  const { node } = line;
  const indent = { "--level": line.level - 1 } as CSSProperties;
  if (line.omitted) {
    return (
      <span className="tree-what tree-omitted" style={indent}>
        <span className="tree-fold" />… {count(line.omitted)} left out
      </span>
    );
  }
  return (
    <span className={`tree-what${isWrong(node) ? " is-wrong" : ""}`} style={indent} title={title(node)}>
      {line.hasChildren ? (
        <button
          type="button"
          tabIndex={-1}
          className="tree-fold"
          aria-label={line.isOpen ? "Fold" : "Unfold"}
          onClick={() => fold(line, line.isOpen)}
        >
          {line.isOpen ? "▾" : "▸"}
        </button>
      ) : (
        <span className="tree-fold" />
      )}
      {isWrong(node) && (
        <span className="tree-wrong" role="img" aria-label="went wrong">
          ✕
        </span>
      )}
      <span className="tree-kind">{node.kind}</span>
      <span className="tree-name">{node.name}</span>
      {node.count > 1 && <span className="tree-count">×{count(node.count)}</span>}
      {node.detail && <span className="tree-detail">{node.detail}</span>}
      {node.woken_by && (
        <span className="tree-detail">woken by {node.woken_by.scope || node.woken_by.service}</span>
      )}
    </span>
  );
}

/** Where in the whole its time lies: hatched where it is a wait. */
function When({ line, wholeNs }: { line: TreeLine; wholeNs: number }): ReactNode {
  const { node } = line;
  if (line.omitted || wholeNs <= 0) return null;
  const part = (ns: number) => `${Math.max(0, Math.min(100, (ns / wholeNs) * 100))}%`;
  const length = node.count > 1 ? node.total_ns : (node.duration_ns ?? 0);
  const kind = node.kind === "wait" ? "wait" : isWrong(node) ? "wrong" : "plain";
  return (
    <span className="gantt" aria-hidden="true">
      <span
        className={`gantt-bar gantt-${kind}`}
        style={{ left: part(node.first_ns), width: part(length) }}
      />
    </span>
  );
}

function OutcomeWord({ line }: { line: TreeLine }): ReactNode {
  if (line.omitted || SAID.includes(line.node.outcome)) return null;
  return (
    <span className={isWrong(line.node) ? "is-bad" : "muted"}>{line.node.outcome.replace("_", " ")}</span>
  );
}

function Service({ line, hues }: { line: TreeLine; hues: ProcessHues }): ReactNode {
  if (line.omitted) return null;
  return (
    <span className="hued" style={{ borderColor: hueOf(hues, line.node.process) }}>
      {line.node.service}
    </span>
  );
}

function Where({ line }: { line: TreeLine }): ReactNode {
  return line.omitted ? null : (
    <code className="muted" title={line.node.site}>
      {line.node.site}
    </code>
  );
}

function isWrong(node: TreeNode): boolean {
  return node.kind === "error" || node.outcome === "failed" || node.outcome === "timeout";
}

function title(node: TreeNode): string {
  const many = node.count > 1 ? `\n${count(node.count)} alike, ${duration(node.total_ns)} together` : "";
  return `${node.kind} ${node.name} ${node.detail}\n${node.site}${many}`.trim();
}
