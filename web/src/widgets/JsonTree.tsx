/** Values as a tidy tree: names at the left, what is large folded. */

import { type ReactNode, useState } from "react";
import "./json_tree.css";

/** How many members are shown before the rest is asked for. */
const FEW = 50;
const LONG = 240;

export function JsonTree({ value }: { value: Readonly<Record<string, unknown>> }): ReactNode {
  return (
    <div className="json">
      <Members entries={Object.entries(value)} depth={0} />
    </div>
  );
}

function Members({ entries, depth }: { entries: readonly [string, unknown][]; depth: number }): ReactNode {
  const [isAll, setIsAll] = useState(false);
  const shown = isAll ? entries : entries.slice(0, FEW);
  return (
    <dl className="json-members">
      {shown.map(([name, value]) => (
        <Member key={name} name={name} value={value} depth={depth} />
      ))}
      {shown.length < entries.length && (
        <button type="button" className="json-more" onClick={() => setIsAll(true)}>
          {entries.length - shown.length} more
        </button>
      )}
    </dl>
  );
}

function Member({ name, value, depth }: { name: string; value: unknown; depth: number }): ReactNode {
  const [isOpen, setIsOpen] = useState(depth < 1);
  const entries = entriesOf(value);
  if (!entries?.length) {
    return (
      <div className="json-member">
        <dt>{name}</dt>
        <dd>
          {entries ? (
            <span className="json-mark">{Array.isArray(value) ? "[]" : "{}"}</span>
          ) : (
            <Plain value={value} />
          )}
        </dd>
      </div>
    );
  }
  return (
    <div className="json-group">
      <dt>
        <button type="button" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
          <span aria-hidden="true" className="json-fold">
            {isOpen ? "▾" : "▸"}
          </span>
          {name}
          {!isOpen && <span className="json-mark"> {entries.length}</span>}
        </button>
      </dt>
      {isOpen && (
        <dd>
          <Members entries={entries} depth={depth + 1} />
        </dd>
      )}
    </div>
  );
}

function entriesOf(value: unknown): [string, unknown][] | null {
  if (Array.isArray(value)) return value.map((one, i) => [String(i), one]);
  return typeof value === "object" && value !== null ? Object.entries(value) : null;
}

function Plain({ value }: { value: unknown }): ReactNode {
  const [isAll, setIsAll] = useState(false);
  if (typeof value !== "string") return <span className={`json-${typeof value}`}>{String(value)}</span>;
  if (value.length <= LONG || isAll) return <span className="json-string">{value}</span>;
  return (
    <span className="json-string">
      {value.slice(0, LONG)}
      <button type="button" className="json-more" onClick={() => setIsAll(true)}>
        … {value.length - LONG} more characters
      </button>
    </span>
  );
}
