/** Processes have quiet hues, in the order in which the run lists them: the same in every view. */

import type { Process } from "../api/types";

export const HUES = 8;

export type ProcessHues = ReadonlyMap<string, number>;

export function processHues(processes: readonly Pick<Process, "process">[]): ProcessHues {
  return new Map(processes.map((one, i) => [one.process, (i % HUES) + 1]));
}

/** The colour of a process, as CSS. */
export function hueOf(hues: ProcessHues, process: string): string {
  return `var(--color-process-${hues.get(process) ?? HUES})`;
}
