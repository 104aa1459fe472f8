/** The names of the lines at the left: what can be folded, how many share a lane, how busy it was. */

import { memo, type ReactNode } from "react";
import type { Timeline } from "../../api/columns";
import { count, plural } from "../../base/format";
import { duration } from "../../base/time";
import { type Line, type Lines, laneKeys, processKey } from "../../draw/lines";
import { HUES } from "../../model/processes";

interface NamesProps {
  readonly timeline: Timeline;
  readonly lines: Lines;
  /** The lines to have in the document. */
  readonly first: number;
  readonly last: number;
  readonly selectedLane: number;
  readonly onFold: (key: string, isFolded: boolean) => void;
  readonly onMore: (process: string, isShown: boolean) => void;
  readonly onLane: (line: number) => void;
}

/** Lines beside those that are seen, so that a fast scroll finds names. */
const SPARE = 24;

export const Names = memo(function Names(props: NamesProps): ReactNode {
  const { timeline, lines, first, last } = props;
  const keys = laneKeys(timeline);
  const shown: ReactNode[] = [];
  for (let i = Math.max(0, first - SPARE); i <= Math.min(last + SPARE, lines.lines.length - 1); i++) {
    const line = lines.lines[i] as Line;
    shown.push(
      <Name
        key={`${line.kind} ${line.lane} ${line.row} ${line.process}`}
        {...props}
        line={line}
        at={i}
        keys={keys}
      />,
    );
  }
  return shown;
});

interface NameProps extends NamesProps {
  readonly line: Line;
  readonly at: number;
  readonly keys: readonly string[];
}

function Name(props: NameProps): ReactNode {
  const { line, timeline } = props;
  const hue = `var(--color-process-${(line.process % HUES) + 1})`;
  const style = { top: line.y, height: line.height, borderLeftColor: hue };
  const body =
    line.kind === "process" ? (
      <ProcessName {...props} />
    ) : line.kind === "more" ? (
      <MoreName {...props} />
    ) : line.isFirst ? (
      <LaneName {...props} />
    ) : null;
  const isSelected = line.lane >= 0 && line.lane === props.selectedLane;
  return (
    <div className={`tl-name tl-name-${line.kind}${isSelected ? " is-selected" : ""}`} style={style}>
      {timeline && body}
    </div>
  );
}

function ProcessName({ line, timeline, onFold }: NameProps): ReactNode {
  const process = timeline.head.processes[line.process];
  if (!process) return null;
  return (
    <>
      <Fold
        line={line}
        name={process.label}
        onFold={() => onFold(processKey(timeline.head, line.process), line.isFolded)}
      />
      <span className="tl-text" title={`${process.label}, process ${process.pid}`}>
        {process.label}
      </span>
      <span className="tl-number">{process.pid}</span>
    </>
  );
}

function MoreName({ line, timeline, onMore }: NameProps): ReactNode {
  const process = processKey(timeline.head, line.process);
  const isShown = !line.isFolded;
  return (
    <button
      type="button"
      className="tl-more"
      title="Lanes of the process in which nothing of this run happened"
      onClick={() => onMore(process, !isShown)}
    >
      {isShown ? "fewer" : `${plural(line.rows.length, "lane")} not of this run`}
    </button>
  );
}

function LaneName({ line, at, timeline, keys, onFold, onLane }: NameProps): ReactNode {
  const lane = timeline.head.lanes[line.lane];
  if (!lane) return null;
  const total = timeline.head.duration_ns || timeline.head.to_ns - timeline.head.from_ns;
  const share = total > 0 ? lane.busy_ns / total : 0;
  const many = lane.scopes > 1 ? ` ×${count(lane.scopes)}` : "";
  return (
    <>
      <span className="tl-indent" style={{ width: (line.indent - 1) * 12 }} />
      {line.isFoldable ? (
        <Fold line={line} name={lane.name} onFold={() => onFold(keys[line.lane] ?? "", line.isFolded)} />
      ) : (
        <span className="tl-fold" />
      )}
      <button
        type="button"
        className={`tl-text${lane.in_run ? "" : " muted"}`}
        title={`${lane.name}${many}\nran ${duration(lane.busy_ns)}`}
        onClick={() => onLane(at)}
      >
        {shortName(lane.name)}
        {many && <span className="muted">{many}</span>}
      </button>
      <span className="tl-number" title={`ran ${duration(lane.busy_ns)}`}>
        {percent(share)}
      </span>
    </>
  );
}

function Fold({ line, name, onFold }: { line: Line; name: string; onFold: () => void }): ReactNode {
  return (
    <button
      type="button"
      className="tl-fold"
      aria-expanded={!line.isFolded}
      aria-label={`${line.isFolded ? "Unfold" : "Fold"} ${name}`}
      onClick={onFold}
    >
      <svg
        viewBox="0 0 10 10"
        width="10"
        height="10"
        aria-hidden="true"
        className={line.isFolded ? "is-folded" : ""}
      >
        <path d="M1.5 3 L5 7 L8.5 3" fill="none" stroke="currentColor" strokeWidth="1.4" />
      </svg>
    </button>
  );
}

/** The end of a qualified name that people would say: `connect_tcp.try_connect`; and after an arrow who made it. */
export function shortName(name: string): string {
  const [first = "", ...rest] = name.split(" from ");
  if (rest.length) {
    const place = rest.join(" from ");
    return `${qualified(place.slice(place.indexOf(" ") + 1))} → ${qualified(first)}`;
  }
  return /\s/.test(name) ? name.replaceAll("<locals>.", "") : qualified(name);
}

function qualified(name: string): string {
  return name.replaceAll("<locals>.", "").split(".").slice(-2).join(".");
}

function percent(share: number): string {
  if (share < 0.0005) return "";
  return share < 0.0995 ? `${(share * 100).toFixed(1)}%` : `${Math.round(share * 100)}%`;
}
