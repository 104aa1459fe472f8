/** Keys of the whole page. */

import { useEffect } from "react";
import { setTheme, THEMES } from "../base/theme";
import { type Action, keymap, keyName, useActions } from "../model/keys";
import { go, pagePlace, place } from "../model/place";
import type { Page } from "../model/selection";
import { showOverlay } from "./overlay";

/** Hands every key press to the actions, unless someone is typing. */
export function useKeyboard(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const name = keyName(event);
      // An open dialog has the keys for itself: Escape closes it.
      if (document.querySelector("dialog[open]")) return;
      if (!name || event.defaultPrevented || (isTyping(event.target) && !name.startsWith("mod+"))) return;
      // Enter and space on a button or link are its own.
      if ((name === "enter" || name === "space") && isControl(event.target)) return;
      if (keymap.press(name, event.timeStamp)) event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("button,a,summary") !== null;
}

const PAGES: readonly [Page, string, string][] = [
  ["runs", "Runs", "g r"],
  ["findings", "Findings", "g f"],
  ["services", "Services", "g s"],
  ["sql", "SQL", "g q"],
];

/** What can be done on every page. */
export function useFrameActions(): void {
  const pages: Action[] = PAGES.map(([page, title, key]) => ({
    id: `go.${page}`,
    title: `Go to ${title}`,
    key,
    group: "Go to",
    run: () => go(pagePlace({ page })),
  }));
  const themes: Action[] = THEMES.map((theme) => ({
    id: `theme.${theme}`,
    title: theme === "system" ? "Theme: as the system has it" : `Theme: ${theme}`,
    group: "View",
    run: () => setTheme(theme),
  }));
  useActions([
    ...pages,
    {
      id: "palette",
      title: "Do something, or go to a run",
      key: "mod+k",
      group: "Go to",
      run: () => showOverlay("palette"),
    },
    { id: "help", title: "Show all keys", key: "?", group: "View", run: () => showOverlay("help") },
    { id: "back", title: "Deselect; then back to the list", key: "esc", group: "Select", run: back },
    ...themes,
  ]);
}

function back(): void {
  const { selection, thread, page } = place();
  if (page === "run" && (selection || thread)) go({ selection: null, thread: null });
  else if (page === "run") go(pagePlace({ page: "runs" }));
  else if (selection) go({ selection: null });
}
