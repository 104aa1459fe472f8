/** The address of the page as state: read with `usePlace`, changed with `go`. */

import { useSyncExternalStore } from "react";
import { isSame, type Place, parsePlace, placeAddress, type Selection, START } from "./selection";

const listeners = new Set<() => void>();
let current = parsePlace(location.pathname, location.search);

function read(): void {
  current = parsePlace(location.pathname, location.search);
  for (const listener of listeners) listener();
}

addEventListener("popstate", read);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Where the page is. */
export const place = (): Place => current;

export function usePlace(): Place {
  return useSyncExternalStore(subscribe, place);
}

/**
 * Goes somewhere: what is not named stays as it is.
 *
 * Another page or run is a step of the browser's history; another selection, zoom or letter of a filter is
 * not, or "back" would mean a hundred small steps.
 */
export function go(change: Partial<Place>): void {
  const next = { ...current, ...change };
  const isStep = next.page !== current.page || next.run !== current.run;
  const address = placeAddress(next);
  if (address === location.pathname + location.search) return;
  history[isStep ? "pushState" : "replaceState"](null, "", address);
  read();
}

/** The place of a page, with nothing selected in it. */
export function pagePlace(change: Partial<Place>): Place {
  return { ...START, ...change };
}

/** Opens a run. */
export function openRun(run: string, change: Partial<Place> = {}): void {
  go(pagePlace({ page: "run", run, ...change }));
}

/** Selects something; its own thread is drawn from then on. */
export function select(selection: Selection | null): void {
  if (isSame(selection, current.selection) && current.thread === null) return;
  go({ selection, thread: null });
}
