/** Keeps the window of the picture and the zoom of the address in step, without a step for each frame. */

import { useCallback, useEffect, useRef, useState } from "react";
import type { Timeline } from "../../api/columns";
import type { Stage } from "../../draw/stage";
import { type Window, wholeOf } from "../../draw/window";
import type { Zoom } from "../../model/selection";

/** How long the picture must stand still before the address and the table follow. */
const SETTLED_MS = 180;

interface Zoomed {
  readonly onWindow: (window: Window | null) => void;
  /** What is seen once it stands still. */
  readonly settled: Window;
}

const word = (zoom: Zoom | null) => (zoom ? `${Math.round(zoom.from)} ${Math.round(zoom.to)}` : "");

export function useZoom(
  stage: Stage | null,
  { head }: Timeline,
  zoom: Zoom | null,
  onZoom: (zoom: Zoom | null) => void,
): Zoomed {
  const whole = wholeOf(head.from_ns, Math.max(head.to_ns, head.duration_ns));
  const [settled, setSettled] = useState<Window>(zoom ?? whole);
  const timer = useRef(0);
  const told = useRef<string | null>(null);
  const latest = useRef(onZoom);
  useEffect(() => {
    latest.current = onZoom;
  });
  const onWindow = useCallback((window: Window | null) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      told.current = word(window);
      latest.current(window ? { from: Math.round(window.from), to: Math.round(window.to) } : null);
      setSettled(window ?? { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY });
    }, SETTLED_MS) as unknown as number;
  }, []);
  useEffect(() => () => clearTimeout(timer.current), []);
  const wanted = word(zoom);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `wanted` says when the zoom differs
  useEffect(() => {
    if (!stage || told.current === wanted) return;
    const isFirst = told.current === null;
    told.current = wanted;
    if (isFirst && !zoom) return;
    stage.show(zoom, !isFirst);
  }, [stage, wanted]);
  return { onWindow, settled };
}
