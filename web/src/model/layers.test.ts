import { describe, expect, it } from "vitest";
import { layered } from "./layers";

const layersOf = (names: string[], edges: [string, string][]) =>
  layered(
    names,
    edges.map(([from, to]) => ({ from, to })),
  );

describe("a graph of services", () => {
  it("has callers to the left of what they call, by the longest way", () => {
    const { nodes } = layersOf(
      ["db", "app", "web"],
      [
        ["web", "app"],
        ["app", "db"],
        ["web", "db"],
      ],
    );
    expect(["web", "app", "db"].map((name) => nodes.get(name)?.layer)).toEqual([0, 1, 2]);
  });

  it("with a cycle still has an order, that of who is called from outside", () => {
    const { nodes } = layersOf(
      ["a", "b", "c"],
      [
        ["c", "a"],
        ["a", "b"],
        ["b", "a"],
      ],
    );
    expect(["c", "a", "b"].map((name) => nodes.get(name)?.layer)).toEqual([0, 1, 2]);
  });

  it("that calls itself, and calls what is not there, is laid out all the same", () => {
    const { nodes, layers } = layersOf(
      ["a"],
      [
        ["a", "a"],
        ["a", "gone"],
      ],
    );
    expect([nodes.size, layers]).toEqual([1, 1]);
  });

  it("is ordered so that parallel edges do not cross", () => {
    const { nodes } = layersOf(
      ["a", "b", "x", "y"],
      [
        ["a", "y"],
        ["b", "x"],
      ],
    );
    const isAbove = (one: string, two: string) => (nodes.get(one)?.place ?? 0) < (nodes.get(two)?.place ?? 0);
    expect(isAbove("a", "b")).toBe(isAbove("y", "x"));
  });

  it("gives every node a place of its own", () => {
    const names = Array.from({ length: 30 }, (_, i) => `s${i}`);
    const { nodes } = layersOf(
      names,
      names.slice(1).map((name, i) => [`s${Math.floor(i / 3)}`, name]),
    );
    expect(new Set([...nodes.values()].map((node) => `${node.layer}/${node.place}`)).size).toBe(30);
  });
});
