/** The part of the time axis that is seen, and how it moves. Times in ns since the run's start. */

export interface Window {
  readonly from: number;
  readonly to: number;
}

/** Less than this is not shown: a clock tells no more. */
export const LEAST_NS = 50;
/** How much of the window may be beyond the ends. */
const MARGIN = 0.02;

/** What there is to see in all, with a little room at both ends. */
export function wholeOf(from: number, to: number): Window {
  const room = Math.max((to - from) * MARGIN, LEAST_NS);
  return { from: from - room, to: to + room };
}

/** Brings a window back to what there is; it keeps its width where it can. */
export function clamp({ from, to }: Window, whole: Window): Window {
  const widest = whole.to - whole.from;
  const width = Math.min(Math.max(to - from, LEAST_NS), widest);
  const middle = (from + to) / 2;
  const left = Math.min(
    Math.max(width === to - from ? from : middle - width / 2, whole.from),
    whole.to - width,
  );
  return { from: left, to: left + width };
}

/** Zooms so that the time `at` stays where it is; a factor below 1 shows less. */
export function zoomAt(window: Window, factor: number, at: number, whole: Window): Window {
  const width = Math.min(Math.max((window.to - window.from) * factor, LEAST_NS), whole.to - whole.from);
  const share = (at - window.from) / (window.to - window.from);
  const from = at - share * width;
  return clamp({ from, to: from + width }, whole);
}

export function pan(window: Window, ns: number, whole: Window): Window {
  return clamp({ from: window.from + ns, to: window.to + ns }, whole);
}

/** A window around an interval, with room at its sides. */
export function around(from: number, to: number, whole: Window): Window {
  const room = Math.max((to - from) * 0.15, LEAST_NS);
  return clamp({ from: from - room, to: to + room }, whole);
}

export const isSame = (one: Window, two: Window): boolean => one.from === two.from && one.to === two.to;
