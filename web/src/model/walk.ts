/** Walks along the thread: one cause back, one forth. */

import type { Effect, ThreadStep } from "../api/types";
import { type EventRef, eventOf, type Place, threadOf } from "./selection";

type Walk = Pick<Place, "selection" | "thread">;

/** Where the selected event stands on the thread; -1 if it does not. */
export function stepAt(steps: readonly EventRef[], place: Walk): number {
  const selected = eventOf(place.selection);
  return steps.findIndex((step) => step.process === selected?.process && step.seq === selected.seq);
}

/** Selects an event of the thread that is drawn, and keeps that thread. */
export function walkTo(step: EventRef, place: Walk): Walk {
  const end = threadOf(place);
  const isEnd = end?.process === step.process && end.seq === step.seq;
  return { selection: { type: "event", process: step.process, seq: step.seq }, thread: isEnd ? null : end };
}

/** One cause back; null where the thread begins. */
export function back(steps: readonly ThreadStep[], place: Walk): Walk | null {
  const at = stepAt(steps, place);
  const before = at < 0 ? steps.at(-1) : steps[at - 1];
  return before ? walkTo(before, place) : null;
}

/** One cause forth; past the end of the thread to the first thing its event enabled, whose thread is drawn then. */
export function forth(steps: readonly ThreadStep[], effects: readonly Effect[], place: Walk): Walk | null {
  const at = stepAt(steps, place);
  const next = at < 0 ? undefined : steps[at + 1];
  if (next) return walkTo(next, place);
  const effect = effects[0];
  return effect
    ? { selection: { type: "event", process: effect.process, seq: effect.seq }, thread: null }
    : null;
}
