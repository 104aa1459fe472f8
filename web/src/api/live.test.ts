import { describe, expect, it, vi } from "vitest";
import { EventParser } from "./events";
import { Live } from "./live";
import type { LiveChange } from "./types";

describe("server-sent events", () => {
  it("are read however the stream is cut", () => {
    const text =
      'event: hello\nid: 4\ndata: {"revision": 4}\n\n: ping\n\nevent: change\r\nid: 5\r\ndata: a\r\ndata: b\r\n\r\n';
    const parser = new EventParser();
    const events = [...text].flatMap((letter) => parser.push(letter));
    expect(events).toEqual([
      { event: "hello", data: '{"revision": 4}', id: "4" },
      { event: "change", data: "a\nb", id: "5" },
    ]);
  });

  it("keep the last id, and are none without data", () => {
    const parser = new EventParser();
    expect(parser.push("id: 7\n\ndata: x\n\n")).toEqual([{ event: "message", data: "x", id: "7" }]);
  });
});

describe("the live connection", () => {
  it("tells of changes, says when it is away, and asks for what it missed", async () => {
    vi.useFakeTimers();
    vi.stubGlobal("sessionStorage", { getItem: () => null });
    const asked: (string | null)[] = [];
    const stop = new AbortController();
    vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
      asked.push(new Headers(init.headers).get("Last-Event-ID"));
      if (asked.length === 2) stop.abort();
      return new Response(
        'event: change\nid: 9\ndata: {"revision": 9, "runs": ["r"], "processes": [], "total": 1}\n\n',
      );
    });
    const live = new Live();
    const changes: LiveChange[] = [];
    const states: string[] = [];
    live.onChange((change) => changes.push(change));
    live.onState(() => states.push(live.state()));

    const running = live.run(stop.signal);
    await vi.advanceTimersByTimeAsync(600);
    await running;

    expect(asked).toEqual([null, "9"]);
    expect(changes[0]).toMatchObject({ revision: 9, runs: ["r"] });
    expect(states.slice(0, 2)).toEqual(["live", "away"]);
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
});
