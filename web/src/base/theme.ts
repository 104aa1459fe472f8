/** Which theme the page has: the system's, or the one that was chosen. `public/theme.js` sets it before the first frame. */

import { useSyncExternalStore } from "react";

export const THEMES = ["system", "dark", "light"] as const;
export type Theme = (typeof THEMES)[number];

const KEPT = "clew.theme";
const listeners = new Set<() => void>();
const system = globalThis.matchMedia?.("(prefers-color-scheme: dark)");
let wanted: Theme = THEMES.find((theme) => theme === localStorage.getItem(KEPT)) ?? "system";

function apply(): void {
  const isDark = wanted === "dark" || (wanted === "system" && system?.matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  for (const listener of listeners) listener();
}

system?.addEventListener("change", apply);

export function setTheme(theme: Theme): void {
  wanted = theme;
  localStorage.setItem(KEPT, theme);
  apply();
}

/** Calls back when colours change: what is drawn on a canvas must be drawn anew. */
export function onTheme(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The theme that was asked for. */
export function useTheme(): Theme {
  return useSyncExternalStore(onTheme, () => wanted);
}
