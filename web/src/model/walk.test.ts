import { describe, expect, it } from "vitest";
import type { Effect, ThreadStep } from "../api/types";
import { back, forth, walkTo } from "./walk";

const steps = [1, 2, 3].map((seq) => ({ process: "aa", seq }) as ThreadStep);
const at = (seq: number) => ({ type: "event", process: "aa", seq }) as const;
const end = { process: "aa", seq: 3 };

describe("walking along the thread", () => {
  it("goes back cause by cause and keeps the thread", () => {
    const first = back(steps, { selection: at(3), thread: null });
    expect(first).toEqual({ selection: at(2), thread: end });
    expect(first && back(steps, first)).toEqual({ selection: at(1), thread: end });
  });

  it("ends where the thread begins", () => {
    expect(back(steps, { selection: at(1), thread: end })).toBeNull();
  });

  it("comes forth again to the event it began at, whose own thread it then is", () => {
    expect(forth(steps, [], { selection: at(2), thread: end })).toEqual({ selection: at(3), thread: null });
  });

  it("goes on to the first thing the event enabled, and draws its thread", () => {
    const effect = { process: "bb", seq: 9 } as Effect;
    const next = forth(steps, [effect], { selection: at(3), thread: null });
    expect(next).toEqual({ selection: { type: "event", process: "bb", seq: 9 }, thread: null });
    expect(forth(steps, [], { selection: at(3), thread: null })).toBeNull();
  });

  it("jumps to any step", () => {
    expect(walkTo({ process: "aa", seq: 1 }, { selection: at(3), thread: null })).toEqual({
      selection: at(1),
      thread: end,
    });
  });
});
