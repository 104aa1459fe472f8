/** Makes the picture on its canvases, and says what it tells. */

import { type RefObject, useEffect, useRef, useState } from "react";
import { onTheme } from "../../base/theme";
import type { Hit, Picture } from "../../draw/hit";
import type { ThreadStepOnRow } from "../../draw/overlay";
import { Stage } from "../../draw/stage";
import type { Window } from "../../draw/window";

export interface Pointer {
  readonly hit: Hit;
  readonly x: number;
  readonly y: number;
}

/** What must be told of at once, and may differ with every render. */
export interface Telling {
  readonly select: (hit: Hit | null) => void;
  readonly onWindow: (window: Window | null) => void;
}

interface StageOf {
  readonly stage: Stage | null;
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly scene: RefObject<HTMLCanvasElement | null>;
  readonly overlay: RefObject<HTMLCanvasElement | null>;
  readonly minimap: RefObject<HTMLCanvasElement | null>;
  readonly names: RefObject<HTMLDivElement | null>;
  readonly pointer: Pointer | null;
  /** First and last line that are seen. */
  readonly seen: { readonly first: number; readonly last: number };
  /** Steps of the thread above and below them. */
  readonly beyond: { readonly above: number; readonly below: number };
}

/** Lines that are in the document before it is known which are seen. */
const FIRST_LINES = 40;

export function useStage(
  picture: Picture,
  steps: readonly ThreadStepOnRow[],
  telling: RefObject<Telling>,
): StageOf {
  const scroller = useRef<HTMLDivElement>(null);
  const scene = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const minimap = useRef<HTMLCanvasElement>(null);
  const names = useRef<HTMLDivElement>(null);
  const [stage, setStage] = useState<Stage | null>(null);
  const [pointer, setPointer] = useState<Pointer | null>(null);
  const [seen, setSeen] = useState({ first: 0, last: FIRST_LINES });
  const [beyond, setBeyond] = useState({ above: 0, below: 0 });
  useEffect(() => {
    if (!scroller.current || !scene.current || !overlay.current || !minimap.current || !names.current) return;
    const made = new Stage(
      {
        scroller: scroller.current,
        scene: scene.current,
        overlay: overlay.current,
        minimap: minimap.current,
        names: names.current,
      },
      {
        onWindow: (window) => telling.current.onWindow(window),
        onHover: (hit, x, y) => setPointer(hit ? { hit, x, y } : null),
        onSelect: (hit) => telling.current.select(hit),
        onLines: (first, last) => setSeen({ first, last }),
        onBeyond: (above, below) => setBeyond({ above, below }),
      },
    );
    setStage(made);
    const stop = onTheme(() => made.restyle());
    return () => {
      stop();
      made.dispose();
    };
  }, [telling]);
  useEffect(() => {
    // What was under the pointer has another number now.
    setPointer(null);
    stage?.setPicture(picture);
  }, [stage, picture]);
  useEffect(() => stage?.setThread(steps), [stage, steps]);
  return { stage, scroller, scene, overlay, minimap, names, pointer, seen, beyond };
}
