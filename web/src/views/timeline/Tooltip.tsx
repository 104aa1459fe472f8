/** What is under the pointer: what, how long, where, and who woke it. */

import type { ReactNode } from "react";
import { BlockKind, BlockState } from "../../api/columns";
import { absolute, duration, exactMoment } from "../../base/time";
import type { Hit, Picture } from "../../draw/hit";
import { blockText, markText, pathOf, stateText } from "../../draw/labels";

interface TooltipProps {
  readonly picture: Picture;
  readonly hit: Hit;
  readonly x: number;
  readonly y: number;
  /** Of what it lies in. */
  readonly width: number;
  readonly height: number;
}

const WIDTH = 320;

export function Tooltip({ picture, hit, x, y, width, height }: TooltipProps): ReactNode {
  const body =
    hit.type === "block" ? (
      <BlockTip picture={picture} block={hit.block} />
    ) : hit.type === "mark" ? (
      <MarkTip picture={picture} mark={hit.mark} />
    ) : null;
  if (!body) return null;
  const left = Math.max(0, x + 16 + WIDTH > width ? x - WIDTH - 12 : x + 16);
  const isAbove = y > height / 2;
  const place = isAbove ? { bottom: height - y + 12 } : { top: y + 18 };
  return (
    <div className="tl-tip" style={{ left, ...place, maxWidth: Math.min(WIDTH, width) }} aria-hidden="true">
      {body}
    </div>
  );
}

function BlockTip({ picture, block }: { picture: Picture; block: number }): ReactNode {
  const { blocks, head } = picture.timeline;
  const start = blocks.start[block] as number;
  const place = head.places[blocks.place[block] as number];
  const state = stateText(blocks.state[block] as number);
  const kind = blocks.kind[block] as number;
  const waker = blocks.waker[block] as number;
  return (
    <>
      <div className="tl-tip-what">
        <i className={`tl-swatch tl-swatch-${kind}`} />
        <span>{blockText(picture, block)}</span>
        <b>{duration((blocks.end[block] as number) - start)}</b>
      </div>
      {state && <div className={isBad(picture, block) ? "tl-tip-state" : "muted"}>{state}</div>}
      <div className="mono">{exactMoment(start)}</div>
      <div className="mono muted">{absolute(head.started_at, start)}</div>
      {place && <div className="mono">{place}</div>}
      <div className="muted">{pathOf(picture, blocks.row[block] as number).join(" ▸ ")}</div>
      {waker >= 0 && (
        <div>
          <span className="muted">{wakeWord(kind)} </span>
          {wakerText(picture, waker)}
        </div>
      )}
    </>
  );
}

function isBad({ timeline }: Picture, block: number): boolean {
  return ((timeline.blocks.state[block] as number) & (BlockState.failed | BlockState.cancelled)) !== 0;
}

function wakeWord(kind: number): string {
  if (kind === BlockKind.life) return "started by";
  return kind === BlockKind.wait ? "ended by" : "woken by";
}

function wakerText(picture: Picture, waker: number): string {
  const { blocks, head } = picture.timeline;
  const label = head.labels[blocks.label[waker] as number] ?? "";
  const where = pathOf(picture, blocks.row[waker] as number);
  const lane = where.at(-1) ?? "";
  return lane && lane !== label ? `${label} in ${lane}` : label;
}

function MarkTip({ picture, mark }: { picture: Picture; mark: number }): ReactNode {
  const { marks, head } = picture.timeline;
  const t = marks.t[mark] as number;
  return (
    <>
      <div className="tl-tip-what">
        <span>{markText(picture, mark)}</span>
      </div>
      <div className="mono">{exactMoment(t)}</div>
      <div className="mono muted">{absolute(head.started_at, t)}</div>
      <div className="muted">{pathOf(picture, marks.row[mark] as number).join(" ▸ ")}</div>
    </>
  );
}
