/** The palette: every action with its key, and the runs there are. */

import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, type ReactNode, useDeferredValue, useEffect, useRef, useState } from "react";
import { getRuns } from "../api/requests";
import type { Run } from "../api/types";
import { duration, timeOfDay } from "../base/time";
import { type Action, keyLabel, useAllActions } from "../model/keys";
import { openRun } from "../model/place";
import { Key, StatusMark } from "../widgets/marks";
import { showOverlay, useOverlay } from "./overlay";
import { ranked } from "./ranking";
import "./overlay.css";

export function Palette(): ReactNode {
  return useOverlay() === "palette" ? <OpenPalette /> : null;
}

interface Entry {
  readonly id: string;
  readonly line: ReactNode;
  readonly run: () => void;
}

function OpenPalette(): ReactNode {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const entries = useEntries(text);
  const active = Math.min(at, entries.length - 1);
  const take = (entry: Entry | undefined) => {
    if (!entry) return;
    showOverlay(null);
    entry.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt((active + 1) % Math.max(1, entries.length));
    else if (event.key === "ArrowUp") setAt((active - 1 + entries.length) % Math.max(1, entries.length));
    else if (event.key === "Enter") take(entries[active]);
    else return;
    event.preventDefault();
  };
  return (
    <dialog
      ref={dialog}
      className="dialog palette"
      aria-label="Go to a run, or do something"
      onClose={() => showOverlay(null)}
      onClick={(event) => event.target === dialog.current && showOverlay(null)}
      onKeyDown={onKeyDown}
    >
      <input
        className="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={active >= 0 ? `palette-${active}` : undefined}
        aria-label="Name of a run or action"
        placeholder="A run, or what to do"
        spellCheck={false}
        autoComplete="off"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
      />
      <div id="palette-list" role="listbox" aria-label="Found" className="palette-list">
        {entries.map((entry, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys are the box's, which keeps the focus
          <div
            key={entry.id}
            id={`palette-${i}`}
            role="option"
            aria-selected={i === active}
            className={i === active ? "is-active" : ""}
            ref={(element) => {
              if (i === active) element?.scrollIntoView({ block: "nearest" });
            }}
            onMouseMove={() => setAt(i)}
            onClick={() => take(entry)}
          >
            {entry.line}
          </div>
        ))}
        {entries.length === 0 && <div className="palette-none muted">Nothing is called that.</div>}
      </div>
    </dialog>
  );
}

function useEntries(text: string): Entry[] {
  // Actions follow every letter at once: whoever types fast presses `enter` before a later frame. Runs may lag.
  const wanted = useDeferredValue(text.trim());
  const actions = useAllActions().filter((action, i, all) => {
    const isLast = all.findLastIndex((other) => other.id === action.id) === i;
    return isLast && !action.hidden && action.id !== "palette";
  });
  const { data } = useQuery({
    queryKey: ["lists", "palette", wanted],
    queryFn: ({ signal }) => getRuns({ filter: freeText(wanted), limit: 8 }, signal),
    placeholderData: (before) => before,
    retry: false,
  });
  const found = ranked(actions, text, (action) => `${action.title} ${action.group}`);
  const runs = (data?.runs ?? []).map(runEntry);
  const things = found.map(actionEntry);
  // Actions first, always: runs come later than the letters that ask for them, and must not push away what
  // `enter` is about to take. A word that is the name of a run is seldom in an action's title.
  return [...things, ...runs];
}

/** A word of hexadecimal digits is an id; anything else is a filter as it stands. */
function freeText(text: string): string {
  return /^[0-9a-f]{6,32}$/.test(text) ? `id:${text}${text.length < 32 ? "*" : ""}` : text;
}

function actionEntry(action: Action): Entry {
  return {
    id: action.id,
    run: action.run,
    line: (
      <>
        <span className="palette-title">{action.title}</span>
        {action.key && <Key label={keyLabel(action.key)} />}
      </>
    ),
  };
}

function runEntry(run: Run): Entry {
  return {
    id: run.id,
    run: () => openRun(run.id),
    line: (
      <>
        <StatusMark status={run.status} />
        <span className="palette-title">{run.name}</span>
        <span className="muted">{run.service}</span>
        <span className="muted palette-when">
          {duration(run.duration_ns)} · {timeOfDay(run.started_at)}
        </span>
      </>
    ),
  };
}
