/** The line between two panes: dragged, or moved with the arrow keys; the place is kept. */

import { type KeyboardEvent, type PointerEvent, type ReactNode, useState } from "react";
import "./splitter.css";

interface SizeLimits {
  readonly least: number;
  readonly most: number;
  readonly usual: number;
}

/** A size of a pane in pixels, which this browser keeps. */
export function useSize(name: string, limits: SizeLimits): [number, (size: number) => void] {
  const [size, setSize] = useState(() => {
    const kept = Number(localStorage.getItem(`clew.size.${name}`));
    return kept > 0 ? kept : limits.usual;
  });
  const set = (wanted: number) => {
    const next = Math.round(Math.max(limits.least, Math.min(limits.most, wanted)));
    localStorage.setItem(`clew.size.${name}`, String(next));
    setSize(next);
  };
  return [Math.max(limits.least, Math.min(limits.most, size)), set];
}

interface SplitterProps {
  readonly label: string;
  /** Of the line itself. */
  readonly orientation: "vertical" | "horizontal";
  /** The size it changes, of the pane before it or after it. */
  readonly size: number;
  readonly onSize: (size: number) => void;
  readonly changes: "before" | "after";
}

const STEP = 24;

export function Splitter({ label, orientation, size, onSize, changes }: SplitterProps): ReactNode {
  const sign = changes === "before" ? 1 : -1;
  const isVertical = orientation === "vertical";
  const begin = (event: PointerEvent<HTMLDivElement>) => {
    event.preventDefault();
    const line = event.currentTarget;
    line.setPointerCapture(event.pointerId);
    const from = isVertical ? event.clientX : event.clientY;
    const drag = (moved: globalThis.PointerEvent) =>
      onSize(size + sign * ((isVertical ? moved.clientX : moved.clientY) - from));
    line.addEventListener("pointermove", drag);
    line.addEventListener("lostpointercapture", () => line.removeEventListener("pointermove", drag), {
      once: true,
    });
  };
  const nudge = (event: KeyboardEvent) => {
    const steps: Record<string, number> = isVertical
      ? { ArrowLeft: -1, ArrowRight: 1 }
      : { ArrowUp: -1, ArrowDown: 1 };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    onSize(size + sign * step * STEP);
  };
  return (
    <div
      className={`splitter splitter-${orientation}`}
      role="separator"
      aria-orientation={orientation}
      aria-label={label}
      aria-valuenow={size}
      tabIndex={0}
      onPointerDown={begin}
      onKeyDown={nudge}
    />
  );
}
