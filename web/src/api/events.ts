/**
 * Server-sent events over `fetch`. The browser's EventSource was refused: it cannot send a key in a header, and
 * a key in the address would stand in logs.
 */

import { ask } from "./client";

export interface ServerEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

/** Splits a stream of text into server-sent events (HTML standard, 9.2.6); keeps what is not complete yet. */
export class EventParser {
  #rest = "";
  #id = "";

  push(text: string): ServerEvent[] {
    // Joined first: a stream may be cut between the two characters of a line's end.
    this.#rest = (this.#rest + text).replaceAll("\r\n", "\n");
    const found: ServerEvent[] = [];
    for (let end = this.#rest.indexOf("\n\n"); end >= 0; end = this.#rest.indexOf("\n\n")) {
      const event = this.#parsed(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end + 2);
      if (event) found.push(event);
    }
    return found;
  }

  #parsed(block: string): ServerEvent | null {
    let event = "message";
    const data: string[] = [];
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon === 0) continue; // a comment: the server is alive
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "event") event = value;
      else if (name === "data") data.push(value);
      else if (name === "id") this.#id = value;
    }
    return data.length ? { event, data: data.join("\n"), id: this.#id } : null;
  }
}

/** Reads events until the stream ends or `signal` says stop; raises `ApiError` if it cannot begin. */
export async function listen(
  path: string,
  lastId: string,
  onEvent: (event: ServerEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (lastId) headers["Last-Event-ID"] = lastId;
  const response = await ask(path, { headers, signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const event of parser.push(value)) onEvent(event);
  }
}
