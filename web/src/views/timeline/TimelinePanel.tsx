/** The picture with its names, its minimap, its keys, and the same blocks as a table. */

import {
  type CSSProperties,
  type ReactNode,
  useCallback,
  useDeferredValue,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { Timeline } from "../../api/columns";
import { count, plural } from "../../base/format";
import { blocksIn, type Hit } from "../../draw/hit";
import { blockSentence } from "../../draw/labels";
import { AXIS } from "../../draw/scene";
import { isSame, type Selection } from "../../model/selection";
import { Splitter, useSize } from "../../widgets/Splitter";
import { BlockTable, MOST_BLOCKS } from "./BlockTable";
import { Legend } from "./Legend";
import { Names } from "./Names";
import { blockOf, selectionOf, spotOf, threadOnRows } from "./selecting";
import type { TimelineProps } from "./TimelineView";
import { Tooltip } from "./Tooltip";
import { useHighlight } from "./use_highlight";
import { useTimelineKeys } from "./use_keys";
import { usePicture } from "./use_picture";
import { type Telling, useStage } from "./use_stage";
import { useZoom } from "./use_zoom";
import "./timeline.css";

type PanelProps = Omit<TimelineProps, "run"> & { readonly timeline: Timeline };

export function TimelinePanel(props: PanelProps): ReactNode {
  const { timeline, selection, onSelect, thread } = props;
  const [width, setWidth] = useSize("timeline-names", { least: 72, most: 560, usual: 224 });
  const [text, setText] = useState("");
  const steps = useMemo(() => threadOnRows(timeline, thread, selection), [timeline, thread, selection]);
  const selectedHere = useRef(-1);
  const chosenHere = useRef<Selection | null>(null);
  const { picture, folds, setFolds, fold, more } = usePicture(
    timeline,
    thread,
    steps,
    selection,
    selectedHere,
  );
  const select = useCallback(
    (hit: Hit | null) => {
      selectedHere.current = hit?.type === "block" ? hit.block : -1;
      chosenHere.current = hit ? selectionOf(picture, hit) : null;
      onSelect(chosenHere.current);
    },
    [picture, onSelect],
  );
  const telling = useRef<Telling>({ select, onWindow: () => undefined });
  const { stage, pointer, seen, beyond, ...refs } = useStage(picture, steps, telling);
  // After the picture: a zoom is a part of it.
  const zoom = useZoom(stage, timeline, props.zoom, props.onZoom);
  useEffect(() => {
    telling.current = { select, onWindow: zoom.onWindow };
  });
  const found = useHighlight(picture, text, stage);

  const exact = useMemo(() => blockOf(picture, selection, selectedHere.current), [picture, selection]);
  // An event in the middle of a block neither begins nor ends it: its step of the thread says which it is.
  const block = exact >= 0 ? exact : (steps.find((step) => step.isSelected)?.block ?? -1);
  const revealed = useRef<unknown>(null);
  useEffect(() => {
    stage?.setSelected(block);
    // Only another selection moves the picture: not new columns, not a fold.
    if (!stage || revealed.current === selection) return;
    const spot = spotOf(picture, selection, block, steps);
    if (!spot) return;
    revealed.current = selection;
    // What was selected in the picture is in view.
    if (!isSame(selection, chosenHere.current)) stage.reveal(spot);
  }, [stage, picture, block, steps, selection]);

  const keys = useTimelineKeys({ stage, picture, selected: block, seen, select, folds, setFolds });
  // Its rows are not seen: they may come later than what is.
  const lately = useDeferredValue(seen);
  const table = useMemo(
    () => blocksIn(picture, zoom.settled.from, zoom.settled.to, lately.first, lately.last, MOST_BLOCKS),
    [picture, zoom.settled, lately],
  );
  const onBlock = useCallback((one: number) => select({ type: "block", block: one, line: -1 }), [select]);
  const onLane = useCallback((line: number) => select({ type: "line", line }), [select]);
  const lane = selection?.type === "lane" ? laneOf(timeline, selection) : -1;
  const box = refs.overlay.current?.parentElement;
  const style = { "--names": `${width}px`, "--axis": `${AXIS}px` } as CSSProperties;
  return (
    <div className="tl" style={style}>
      <Find text={text} onText={setText} found={found} />
      <div className="tl-strip">
        <canvas
          ref={refs.minimap}
          className="tl-minimap"
          aria-label="The whole run, and the part that is seen"
          role="img"
        />
      </div>
      <div
        className="tl-main"
        role="application"
        aria-label={`Timeline: ${plural(timeline.blocks.size, "block")}. Left and right: next block, up and down: next line, plus and minus: zoom, enter: select.`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: an application has the focus itself
        tabIndex={0}
        onKeyDown={keys.onKeyDown}
      >
        <div className="tl-scroll" ref={refs.scroller}>
          <div className="tl-sticky">
            <div className="tl-names">
              <Legend stage={stage} />
              <div className="tl-names-view">
                <div className="tl-names-moved" ref={refs.names}>
                  <Names
                    timeline={timeline}
                    lines={picture.lines}
                    first={seen.first}
                    last={seen.last}
                    selectedLane={lane}
                    onFold={fold}
                    onMore={more}
                    onLane={onLane}
                  />
                </div>
              </div>
            </div>
            <Splitter
              label="Width of the names"
              orientation="vertical"
              size={width}
              onSize={setWidth}
              changes="before"
            />
            <div className="tl-canvas">
              <div className="tl-layers" aria-hidden="true">
                <canvas ref={refs.scene} />
                <canvas ref={refs.overlay} className="tl-overlay" />
              </div>
              {pointer && box && (
                <Tooltip {...pointer} picture={picture} width={box.clientWidth} height={box.clientHeight} />
              )}
              <Beyond {...beyond} onGo={(direction) => stage?.scrollToThread(direction)} />
            </div>
          </div>
          <div className="tl-height" style={{ height: `calc(${picture.lines.height + AXIS}px - 100%)` }} />
        </div>
      </div>
      <BlockTable picture={picture} blocks={table} onSelect={onBlock} />
      <div className="unseen" aria-live="polite">
        {keys.focused >= 0 && keys.focused < timeline.blocks.size ? blockSentence(picture, keys.focused) : ""}
      </div>
    </div>
  );
}

interface FindProps {
  readonly text: string;
  readonly onText: (text: string) => void;
  /** How many blocks hold it; null: none was looked for. */
  readonly found: number | null;
}

function Find({ text, onText, found }: FindProps): ReactNode {
  return (
    <div className="tl-corner">
      <input
        className="tl-find"
        type="search"
        value={text}
        placeholder="Find in the timeline"
        aria-label="Find in the timeline: dims what does not match"
        onChange={(event) => onText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          onText("");
          event.currentTarget.blur();
        }}
      />
      {found !== null && (
        <span className="tl-found muted" role="status">
          {count(found)}
        </span>
      )}
    </div>
  );
}

interface BeyondProps {
  readonly above: number;
  readonly below: number;
  readonly onGo: (direction: 1 | -1) => void;
}

/** Says that the thread goes on above or below what is seen. */
function Beyond({ above, below, onGo }: BeyondProps): ReactNode {
  return (
    <>
      {above > 0 && (
        <button type="button" className="tl-beyond tl-beyond-above" onClick={() => onGo(-1)}>
          ↑ {plural(above, "step")}
        </button>
      )}
      {below > 0 && (
        <button type="button" className="tl-beyond tl-beyond-below" onClick={() => onGo(1)}>
          ↓ {plural(below, "step")}
        </button>
      )}
    </>
  );
}

function laneOf({ head }: Timeline, selection: { process: string; lane: string }): number {
  return head.lanes.findIndex(
    (lane) => lane.name === selection.lane && head.processes[lane.process]?.process === selection.process,
  );
}
