/**
 * Everything that can be done with a key. An action has an id, a title and at most one key; it stands in the
 * palette and in the help as long as what registered it is on the page. Registered last wins a key: the
 * timeline's `enter` beats the frame's.
 */

import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Action {
  /** Names it for good: `timeline.fit`. */
  readonly id: string;
  /** What it does, as a line of the palette: "Fit the run". */
  readonly title: string;
  /** `f`, `+`, `[`, `enter`, `esc`, `mod+k` (Ctrl, on a Mac Cmd), or two in a row: `g r`. */
  readonly key?: string;
  /** Other keys for the same: `=` for `+`. */
  readonly otherKeys?: readonly string[];
  readonly group: "Go to" | "Select" | "Thread" | "Timeline" | "View" | "Query";
  /** Not in the palette: makes sense only as a key (next, previous). */
  readonly hidden?: boolean;
  readonly run: () => void;
}

type Listener = () => void;

/** How long the second key of two in a row may take. */
const SEQUENCE_MS = 1200;

export class Keymap {
  #actions: readonly Action[] = [];
  #listeners = new Set<Listener>();
  #first = "";
  #firstAt = 0;

  /** Adds actions; the returned function removes them again. */
  register(actions: readonly Action[]): () => void {
    this.#actions = [...this.#actions, ...actions];
    this.#changed();
    return () => {
      this.#actions = this.#actions.filter((action) => !actions.includes(action));
      this.#changed();
    };
  }

  /** All actions, each once: where two have one id the later is meant. */
  actions = (): readonly Action[] => this.#actions;

  subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Does what a key stands for; says whether it stood for anything. `now` is in milliseconds. */
  press(key: string, now: number): boolean {
    const begun = now - this.#firstAt < SEQUENCE_MS ? this.#first : "";
    this.#first = "";
    const action = (begun && this.#find(`${begun} ${key}`)) || this.#find(key);
    if (action) {
      action.run();
      return true;
    }
    if (this.#actions.some((other) => other.key?.startsWith(`${key} `))) {
      this.#first = key;
      this.#firstAt = now;
      return true;
    }
    return false;
  }

  #find(key: string): Action | undefined {
    return this.#actions.findLast((action) => action.key === key || action.otherKeys?.includes(key));
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The name of a key as actions write it; empty for a bare modifier. */
export function keyName(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">): string {
  const names: Record<string, string> = { Escape: "esc", Enter: "enter", " ": "space" };
  if (event.altKey || ["Control", "Meta", "Shift", "Alt"].includes(event.key)) return "";
  const name = names[event.key] ?? (event.key.length === 1 ? event.key : event.key.toLowerCase());
  return event.ctrlKey || event.metaKey ? `mod+${name.toLowerCase()}` : name;
}

/** How a key is shown to people: `⌘K` on a Mac, `Ctrl K` elsewhere. */
export function keyLabel(
  key: string,
  isMac = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? ""),
): string {
  return key
    .replace("mod+", isMac ? "⌘" : "Ctrl ")
    .replace(/(^|[ ⌘])([a-z])$/, (_, before: string, letter: string) =>
      key.startsWith("mod+") ? before + letter.toUpperCase() : before + letter,
    );
}

/** The keys of this page. */
export const keymap = new Keymap();

/** Registers actions while a component is mounted. What they do may change with every render. */
export function useActions(actions: readonly Action[]): void {
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  });
  const shape = actions.map((action) => `${action.id}\t${action.title}\t${action.key ?? ""}`).join("\n");
  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` says when the registered actions differ
  useEffect(() => {
    const current = (id: string) => latest.current.find((action) => action.id === id);
    return keymap.register(actions.map((action) => ({ ...action, run: () => current(action.id)?.run() })));
  }, [shape]);
}

/** All registered actions. */
export function useAllActions(): readonly Action[] {
  return useSyncExternalStore(keymap.subscribe, keymap.actions);
}
