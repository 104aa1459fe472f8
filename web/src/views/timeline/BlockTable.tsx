/** The blocks in view as a table, for those who do not see the picture. */

import { memo, type ReactNode } from "react";
import { plural } from "../../base/format";
import { age, duration } from "../../base/time";
import type { Picture } from "../../draw/hit";
import { blockText, pathOf, stateText } from "../../draw/labels";

export const MOST_BLOCKS = 200;

interface BlockTableProps {
  readonly picture: Picture;
  readonly blocks: readonly number[];
  readonly onSelect: (block: number) => void;
}

export const BlockTable = memo(function BlockTable({
  picture,
  blocks,
  onSelect,
}: BlockTableProps): ReactNode {
  const { timeline } = picture;
  const many =
    blocks.length >= MOST_BLOCKS ? `the first ${MOST_BLOCKS} blocks` : plural(blocks.length, "block");
  return (
    <div className="unseen">
      <table>
        <caption>{`In view: ${many}`}</caption>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Where</th>
            <th scope="col">Start</th>
            <th scope="col">Duration</th>
            <th scope="col">How</th>
          </tr>
        </thead>
        <tbody>
          {blocks.map((block) => {
            const start = timeline.blocks.start[block] as number;
            return (
              <tr key={block}>
                <td>
                  <button type="button" tabIndex={-1} onClick={() => onSelect(block)}>
                    {blockText(picture, block)}
                  </button>
                </td>
                <td>{pathOf(picture, timeline.blocks.row[block] as number).join(", ")}</td>
                <td>{age(start)}</td>
                <td>{duration((timeline.blocks.end[block] as number) - start)}</td>
                <td>{stateText(timeline.blocks.state[block] as number)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
});
