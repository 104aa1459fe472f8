/** Which overlay is open: the palette, the help, or none. */

import { useSyncExternalStore } from "react";

export type Overlay = "palette" | "help" | null;

const listeners = new Set<() => void>();
let current: Overlay = null;

export function showOverlay(overlay: Overlay): void {
  current = overlay;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useOverlay(): Overlay {
  return useSyncExternalStore(subscribe, () => current);
}
