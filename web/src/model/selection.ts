/**
 * What the page shows, as its address says it: page, run, selection, thread, zoom, filter, tab. Whatever can be
 * shown to a colleague stands here, and nothing of it is kept anywhere else.
 */

export interface EventRef {
  readonly process: string;
  readonly seq: number;
}

export type Selection =
  | ({ readonly type: "event" } & EventRef)
  | { readonly type: "span"; readonly process: string; readonly span: number }
  | { readonly type: "lane"; readonly process: string; readonly lane: string }
  | { readonly type: "run"; readonly run: string };

export const PAGES = ["runs", "run", "findings", "services", "sql"] as const;
export type Page = (typeof PAGES)[number];

export const TABS = ["tree", "events", "services"] as const;
export type Tab = (typeof TABS)[number];

/** Part of a run on the time axis, in nanoseconds since its start. */
export interface Zoom {
  readonly from: number;
  readonly to: number;
}

export interface Place {
  readonly page: Page;
  /** The run that is looked at; empty on other pages. */
  readonly run: string;
  readonly selection: Selection | null;
  /** The event whose thread is drawn, while one walks along it; null: that of the selection. */
  readonly thread: EventRef | null;
  readonly zoom: Zoom | null;
  readonly filter: string;
  readonly sort: string;
  readonly tab: Tab;
}

export const START: Place = {
  page: "runs",
  run: "",
  selection: null,
  thread: null,
  zoom: null,
  filter: "",
  sort: "",
  tab: "tree",
};

/** Writes a selection as one word of an address: `event:00f0…:12`. */
export function selectionWord(selection: Selection): string {
  switch (selection.type) {
    case "event":
      return `event:${selection.process}:${selection.seq}`;
    case "span":
      return `span:${selection.process}:${selection.span}`;
    case "lane":
      return `lane:${selection.process}:${selection.lane}`;
    case "run":
      return `run:${selection.run}`;
  }
}

/** Reads a selection back; null for what is none, as addresses are typed and cut by people. */
export function parseSelection(word: string | null): Selection | null {
  const [type = "", first = "", ...rest] = (word ?? "").split(":");
  const last = rest.join(":");
  if (type === "run") return first ? { type, run: first } : null;
  if (!first || !last) return null;
  if (type === "lane") return { type, process: first, lane: last };
  const number = wholeNumber(last);
  if (number === null) return null;
  if (type === "event") return { type, process: first, seq: number };
  return type === "span" ? { type, process: first, span: number } : null;
}

/** Says whether two selections are the same thing. */
export function isSame(one: Selection | null, two: Selection | null): boolean {
  return (one && selectionWord(one)) === (two && selectionWord(two));
}

/** The selected event, if an event is selected. */
export function eventOf(selection: Selection | null): EventRef | null {
  return selection?.type === "event" ? { process: selection.process, seq: selection.seq } : null;
}

/** The event whose thread is to be drawn: the one walked along, else the selected one. */
export function threadOf(place: Pick<Place, "thread" | "selection">): EventRef | null {
  return place.thread ?? eventOf(place.selection);
}

/** Reads an address: path and search. */
export function parsePlace(path: string, search: string): Place {
  const words = new URLSearchParams(search);
  const [first = "", second = ""] = path.split("/").filter(Boolean);
  const isRun = first === "runs" && second !== "";
  const page: Page = isRun ? "run" : (PAGES.find((name) => name === first && name !== "run") ?? "runs");
  return {
    page,
    run: isRun ? decoded(second) : "",
    selection: parseSelection(words.get("sel")),
    thread: eventOf(parseSelection(words.get("thread") ? `event:${words.get("thread")}` : null)),
    zoom: parseZoom(words.get("from"), words.get("to")),
    filter: words.get("filter") ?? "",
    sort: words.get("sort") ?? "",
    tab: TABS.find((tab) => tab === words.get("tab")) ?? "tree",
  };
}

/** Writes an address; what is as usual is left out. */
export function placeAddress(place: Place): string {
  const words: string[] = [];
  const add = (name: string, value: string) => value && words.push(`${name}=${encodeWord(value)}`);
  add("tab", place.page === "run" && place.tab !== START.tab ? place.tab : "");
  add("sel", place.selection ? selectionWord(place.selection) : "");
  add("thread", place.thread ? `${place.thread.process}:${place.thread.seq}` : "");
  if (place.zoom) {
    add("from", String(Math.round(place.zoom.from)));
    add("to", String(Math.round(place.zoom.to)));
  }
  add("filter", place.filter);
  add("sort", place.sort);
  const path = place.page === "run" ? `/runs/${encodeURIComponent(place.run)}` : `/${place.page}`;
  return words.length ? `${path}?${words.join("&")}` : path;
}

/** Colons and slashes stay readable: they are allowed in a query, and addresses are read by people. */
function encodeWord(value: string): string {
  return encodeURIComponent(value).replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%20", "+");
}

function decoded(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    return word; // a percent sign that is no code: the run will not be found, which the page says
  }
}

function wholeNumber(word: string): number | null {
  return /^\d{1,15}$/.test(word) ? Number(word) : null;
}

function parseZoom(from: string | null, to: string | null): Zoom | null {
  if (!/^-?\d{1,18}$/.test(from ?? "") || !/^-?\d{1,18}$/.test(to ?? "")) return null;
  const zoom = { from: Number(from), to: Number(to) };
  return zoom.to > zoom.from ? zoom : null;
}
