import { describe, expect, it } from "vitest";
import { type Place, parsePlace, placeAddress, START, threadOf } from "./selection";

const RUN = "b8fe6be9f10594e9ab0a9d6df202e5d2";

function there(place: Partial<Place>): Place {
  const address = placeAddress({ ...START, ...place });
  const [path = "", search = ""] = address.split("?");
  return parsePlace(path, search);
}

describe("an address", () => {
  it.each<[string, Partial<Place>]>([
    ["a page", { page: "findings", filter: 'severity:critical "two words" & 100%' }],
    ["a run", { page: "run", run: RUN, tab: "events", filter: "kind:sync.* wait:>10ms" }],
    ["a sorted list", { page: "runs", sort: "-duration", filter: "status:failed" }],
    [
      "an event and its thread",
      {
        page: "run",
        run: RUN,
        selection: { type: "event", process: "29d1b410c9992887", seq: 4526 },
        thread: { process: "29d1b410c9992887", seq: 9000 },
        zoom: { from: -1000, to: 5_000_000_000 },
      },
    ],
    [
      "a lane with colons and blanks in its name",
      {
        page: "run",
        run: RUN,
        selection: { type: "lane", process: "29d1b410c9992887", lane: "task:play (Task-1) 50%+" },
      },
    ],
    ["a span", { page: "run", run: RUN, selection: { type: "span", process: "29d1b410c9992887", span: 7 } }],
  ])("leads back to %s", (_, place) => {
    expect(there(place)).toEqual({ ...START, ...place });
  });

  it("is short and readable", () => {
    const address = placeAddress({
      ...START,
      page: "run",
      run: RUN,
      selection: { type: "event", process: "29d1b410c9992887", seq: 4526 },
      zoom: { from: 0.4, to: 1000.2 },
      filter: "kind:sync.* Task-1",
    });
    expect(address).toBe(
      `/runs/${RUN}?sel=event:29d1b410c9992887:4526&from=0&to=1000&filter=kind:sync.*+Task-1`,
    );
  });

  it.each([
    "?sel=event:xx",
    "?sel=event:29d1:-1",
    "?sel=event:29d1:9999999999999999999",
    "?sel=nonsense:1:2",
    "?from=10&to=5",
    "?from=a&to=b",
    "?tab=nonsense",
    "?thread=:::",
  ])("that was typed wrong (%s) still opens the page", (search) => {
    expect(parsePlace(`/runs/${RUN}`, search)).toEqual({ ...START, page: "run", run: RUN });
  });

  it("of no page is that of the runs", () => {
    expect(parsePlace("/", "").page).toBe("runs");
    expect(parsePlace("/run", "").page).toBe("runs");
    expect(parsePlace("/runs/%E0%A4%A", "").run).toBe("%E0%A4%A");
  });
});

describe("the thread that is drawn", () => {
  const event = { type: "event", process: "aa", seq: 3 } as const;

  it("is that of the selected event, or of the one walked along", () => {
    expect(threadOf({ selection: event, thread: null })).toEqual({ process: "aa", seq: 3 });
    expect(threadOf({ selection: event, thread: { process: "bb", seq: 9 } })).toEqual({
      process: "bb",
      seq: 9,
    });
    expect(threadOf({ selection: { type: "run", run: RUN }, thread: null })).toBeNull();
  });
});
