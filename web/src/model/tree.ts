/** The tree of a run as lines, of which some are folded. */

import type { TreeNode } from "../api/types";

export interface TreeLine {
  /** Where it hangs: `0.2.1`, the positions from the root. */
  readonly id: string;
  readonly level: number;
  /** Which of its siblings it is, from 1, and how many they are. */
  readonly position: number;
  readonly siblings: number;
  readonly node: TreeNode;
  readonly hasChildren: boolean;
  readonly isOpen: boolean;
  /** Instead of a node: how many things were left out here. */
  readonly omitted: number;
}

/** Lists what is seen while the lines named in `folded` are folded. Not by recursion: trees may be deep. */
export function treeLines(root: TreeNode, folded: ReadonlySet<string>): TreeLine[] {
  const lines: TreeLine[] = [];
  const waiting: TreeLine[] = [lineOf(root, "0", 1, 1, 1, folded)];
  for (let line = waiting.pop(); line; line = waiting.pop()) {
    lines.push(line);
    if (line.omitted || !line.isOpen) continue;
    const { node, id, level } = line;
    const siblings = node.children.length + (node.omitted ? 1 : 0);
    if (node.omitted) waiting.push(omittedLine(line, siblings));
    for (let i = node.children.length - 1; i >= 0; i--) {
      const child = node.children[i];
      if (child) waiting.push(lineOf(child, `${id}.${i}`, level + 1, i + 1, siblings, folded));
    }
  }
  return lines;
}

function lineOf(
  node: TreeNode,
  id: string,
  level: number,
  position: number,
  siblings: number,
  folded: ReadonlySet<string>,
): TreeLine {
  const hasChildren = node.children.length > 0 || node.omitted > 0;
  return {
    id,
    level,
    position,
    siblings,
    node,
    hasChildren,
    isOpen: hasChildren && !folded.has(id),
    omitted: 0,
  };
}

function omittedLine(above: TreeLine, siblings: number): TreeLine {
  return {
    id: `${above.id}.omitted`,
    level: above.level + 1,
    position: siblings,
    siblings,
    node: above.node,
    hasChildren: false,
    isOpen: false,
    omitted: above.node.omitted,
  };
}

/** The line a line hangs below: its number, or -1 for the first. */
export function parentLine(lines: readonly TreeLine[], at: number): number {
  const level = lines[at]?.level ?? 0;
  for (let i = at - 1; i >= 0; i--) if ((lines[i]?.level ?? 0) < level) return i;
  return -1;
}
