import { expect, it } from "vitest";
import { ranked } from "./ranking";

const ACTIONS = ["Go to Runs", "Go to Findings", "Show the events", "Theme: dark"];

it("finds by words in any order, beginnings first", () => {
  expect(ranked(ACTIONS, "run go", (text) => text)).toEqual(["Go to Runs"]);
  expect(ranked(ACTIONS, "e", (text) => text)[0]).toBe("Show the events");
  expect(ranked(ACTIONS, "", (text) => text)).toEqual(ACTIONS);
});

it("takes signs as they are", () => {
  expect(ranked(["a.b (c)"], ".b (c", (text) => text)).toEqual(["a.b (c)"]);
  expect(ranked(["axb"], ".b", (text) => text)).toEqual([]);
});
