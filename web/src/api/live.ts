/** What changes on the server, as it changes: one connection for the page, and who wants to hear of it. */

import type { QueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { listen } from "./events";
import type { LiveChange } from "./types";

export type LiveState = "connecting" | "live" | "away";

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15_000;

export class Live {
  #state: LiveState = "connecting";
  #stateListeners = new Set<() => void>();
  #changeListeners = new Set<(change: LiveChange) => void>();
  #lastId = "";

  state = (): LiveState => this.#state;

  onState = (listener: () => void): (() => void) => {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  };

  onChange = (listener: (change: LiveChange) => void): (() => void) => {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  };

  /** Stays connected until `signal` says stop; waits ever longer between attempts. */
  async run(signal: AbortSignal): Promise<void> {
    let wait = FIRST_RETRY_MS;
    while (!signal.aborted) {
      try {
        await listen(
          "/api/v1/live",
          this.#lastId,
          (event) => {
            wait = FIRST_RETRY_MS;
            this.#lastId = event.id || this.#lastId;
            this.#set("live");
            if (event.event === "change") this.#tell(JSON.parse(event.data) as LiveChange);
          },
          signal,
        );
      } catch {
        // Away: the state says so, and every request of the page says why.
      }
      if (signal.aborted) return;
      this.#set("away");
      await pause(wait, signal);
      wait = Math.min(wait * 2, MAX_RETRY_MS);
    }
  }

  #set(state: LiveState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#stateListeners) listener();
  }

  #tell(change: LiveChange): void {
    for (const listener of this.#changeListeners) listener(change);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

export const live = new Live();

/** Whether the page hears of changes. */
export function useLiveState(): LiveState {
  return useSyncExternalStore(live.onState, live.state);
}

/** At most twice a second: a busy server tells of changes more often than anyone can read. */
const LEAST_BETWEEN_MS = 500;

/** Keeps the connection, and lets what was asked about a changed run be asked anew. Once, at the root. */
export function useLive(client: QueryClient): void {
  useEffect(() => {
    const stop = new AbortController();
    const changed = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | null = null;
    const refresh = () => {
      timer = null;
      for (const run of changed) void client.invalidateQueries({ queryKey: ["run", run] });
      changed.clear();
      void client.invalidateQueries({ queryKey: ["lists"] });
    };
    void live.run(stop.signal);
    const off = live.onChange((change) => {
      for (const run of change.runs) changed.add(run);
      timer ??= setTimeout(refresh, LEAST_BETWEEN_MS);
    });
    return () => {
      off();
      stop.abort();
      if (timer !== null) clearTimeout(timer);
    };
  }, [client]);
}
