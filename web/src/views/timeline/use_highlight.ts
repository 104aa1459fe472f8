/** Dims the blocks that do not hold a text. */

import { useEffect, useRef, useState } from "react";
import { find } from "../../draw/highlight";
import type { Picture } from "../../draw/hit";
import type { Stage } from "../../draw/stage";
import { classify, type Tracks } from "../../draw/tracks";

/** Half a keystroke of a fast typist: a search through a million blocks takes 30 ms. */
const DELAY_MS = 80;

/** Returns how many blocks hold it; null while there is no text. */
export function useHighlight(picture: Picture, text: string, stage: Stage | null): number | null {
  const [found, setFound] = useState<number | null>(null);
  const { timeline, tracks } = picture;
  const dimmed = useRef<Tracks | null>(null);
  useEffect(() => {
    const timer = setTimeout(
      () => {
        // Blocks come undimmed.
        if (!text.trim() && dimmed.current !== tracks) return;
        dimmed.current = text.trim() ? tracks : null;
        const matching = find(timeline, text);
        classify(tracks, timeline, matching?.matches ?? null);
        setFound(matching?.count ?? null);
        stage?.repaint();
      },
      text ? DELAY_MS : 0,
    );
    return () => clearTimeout(timer);
  }, [timeline, tracks, text, stage]);
  return found;
}
