import { expect, it } from "vitest";
import type { TreeNode } from "../api/types";
import { threadClass, threadMarks } from "./thread_rows";
import { parentLine, treeLines } from "./tree";

function node(name: string, children: TreeNode[] = [], omitted = 0): TreeNode {
  return { name, children, omitted } as unknown as TreeNode;
}

const TREE = node("run", [node("a", [node("a1"), node("a2")], 7), node("b")]);

it("lists a tree from the top, with what was left out below what it was left out of", () => {
  const lines = treeLines(TREE, new Set());
  expect(lines.map((line) => [line.id, line.level, line.omitted])).toEqual([
    ["0", 1, 0],
    ["0.0", 2, 0],
    ["0.0.0", 3, 0],
    ["0.0.1", 3, 0],
    ["0.0.omitted", 3, 7],
    ["0.1", 2, 0],
  ]);
  expect(lines.map((line) => `${line.position}/${line.siblings}`)).toEqual([
    "1/1",
    "1/2",
    "1/3",
    "2/3",
    "3/3",
    "2/2",
  ]);
});

it("leaves out what is folded", () => {
  const lines = treeLines(TREE, new Set(["0.0"]));
  expect(lines.map((line) => line.id)).toEqual(["0", "0.0", "0.1"]);
  expect(lines[1]).toMatchObject({ hasChildren: true, isOpen: false });
});

it("knows the line above which a line hangs", () => {
  const lines = treeLines(TREE, new Set());
  expect(parentLine(lines, 5)).toBe(0);
  expect(parentLine(lines, 4)).toBe(1);
  expect(parentLine(lines, 0)).toBe(-1);
});

it("lists a chain deeper than a stack of calls", () => {
  let deep = node("end");
  for (let i = 0; i < 50_000; i++) deep = node("link", [deep]);
  expect(treeLines(deep, new Set())).toHaveLength(50_001);
});

it("marks the rows the thread passes, from its first to its last", () => {
  const rows = [1, 2, 3, 4, 5].map((seq) => ({ process: "aa", seq }));
  const marks = threadMarks(rows, [
    { process: "aa", seq: 2 },
    { process: "bb", seq: 3 },
    { process: "aa", seq: 4 },
  ]);
  expect(rows.map((_, i) => threadClass(marks, i))).toEqual([
    "",
    "thread-on thread-first",
    "thread-past",
    "thread-on thread-last",
    "",
  ]);
});
