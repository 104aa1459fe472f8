/** Small marks: each says by its shape what it also says by its colour. */

import type { ReactNode } from "react";
import type { Confidence, RunStatus, Severity } from "../api/types";
import "./marks.css";

const STATUS_SHAPES: Record<RunStatus, ReactNode> = {
  running: (
    <>
      <circle cx="7" cy="7" r="5" className="mark-ring" />
      <circle cx="7" cy="7" r="2.2" className="mark-fill" />
    </>
  ),
  succeeded: <path d="M3 7.5 6 10.2 11 4.2" className="mark-line" />,
  failed: (
    <>
      <rect x="1.5" y="1.5" width="11" height="11" rx="2.5" className="mark-fill" />
      <path d="M4.8 4.8l4.4 4.4M9.2 4.8 4.8 9.2" className="mark-cut" />
    </>
  ),
  cancelled: (
    <>
      <circle cx="7" cy="7" r="4.7" className="mark-ring" />
      <path d="M3.8 10.2l6.4-6.4" className="mark-line" />
    </>
  ),
  lost: <circle cx="7" cy="7" r="4.7" className="mark-ring is-dashed" />,
};

/** How a run stands or ended. */
export function StatusMark({ status, isNamed = false }: { status: RunStatus; isNamed?: boolean }): ReactNode {
  return (
    <span className={`status status-${status}`}>
      <svg viewBox="0 0 14 14" width="14" height="14" role="img" aria-label={status}>
        <title>{status}</title>
        {STATUS_SHAPES[status] ?? STATUS_SHAPES.lost}
      </svg>
      {isNamed && <span aria-hidden="true">{status}</span>}
    </span>
  );
}

/** How a finding is known. */
export function ConfidenceBadge({ confidence }: { confidence: Confidence }): ReactNode {
  return <span className={`badge badge-${confidence}`}>{confidence}</span>;
}

const SEVERITY_SHAPES: Record<Severity, ReactNode> = {
  critical: <path d="M7 1 13 7 7 13 1 7Z" className="mark-fill" />,
  error: <path d="M7 1.8 12.2 7 7 12.2 1.8 7Z" className="mark-ring" />,
  warning: <path d="M7 2.2 12.4 11.6H1.6Z" className="mark-ring" />,
  info: <circle cx="7" cy="7" r="4" className="mark-ring" />,
};

/** How grave a finding is: the shape is filled for the gravest only. */
export function SeverityMark({ severity }: { severity: Severity }): ReactNode {
  return (
    <svg
      viewBox="0 0 14 14"
      width="14"
      height="14"
      role="img"
      aria-label={severity}
      className={`severity-${severity}`}
    >
      <title>{severity}</title>
      {SEVERITY_SHAPES[severity] ?? SEVERITY_SHAPES.info}
    </svg>
  );
}

/** A duration against the longest beside it. */
export function DurationBar({ part, state }: { part: number; state?: string }): ReactNode {
  const width = `${Math.max(0.5, Math.min(100, part * 100))}%`;
  return (
    <span className="bar" aria-hidden="true">
      <span className={`bar-fill${state ? ` bar-${state}` : ""}`} style={{ width }} />
    </span>
  );
}

/** A key of the keyboard. */
export function Key({ label }: { label: string }): ReactNode {
  return (
    <span className="keys">
      {label.split(" ").map((part) => (
        <kbd key={part}>{part}</kbd>
      ))}
    </span>
  );
}
