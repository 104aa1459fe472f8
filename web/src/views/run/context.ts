/** What every part of the run's page knows. */

import { createContext, useContext } from "react";
import type { RunDetail, ThreadStep } from "../../api/types";
import type { ProcessHues } from "../../model/processes";
import type { EventRef } from "../../model/selection";

export interface RunState {
  readonly run: RunDetail;
  readonly hues: ProcessHues;
  /** The thread that is drawn, from where it began. */
  readonly steps: readonly ThreadStep[];
  /** Selects an event and draws its thread. */
  readonly show: (event: EventRef) => void;
  /** Selects an event of the thread and keeps the thread. */
  readonly walk: (event: EventRef) => void;
}

export const RunContext = createContext<RunState | null>(null);

export function useRunState(): RunState {
  const state = useContext(RunContext);
  if (!state) throw new Error("a part of the run's page stands outside of it");
  return state;
}
