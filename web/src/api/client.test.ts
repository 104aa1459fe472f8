import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ask, askJson, keyWanted, parseJson, path, setKey } from "./client";
import { aRun, serverDouble } from "./double";
import { ApiError } from "./errors";
import { shouldRetry } from "./queries";
import { getRuns } from "./requests";

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal("sessionStorage", {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => void kept.set(name, value),
    removeItem: (name: string) => void kept.delete(name),
  });
});
afterEach(() => vi.unstubAllGlobals());

async function failure(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(() => null).catch((thrown: unknown) => thrown);
  if (!(error instanceof ApiError)) throw new Error("no ApiError was raised");
  return error;
}

describe("the client", () => {
  it("fetches page after page", async () => {
    const server = serverDouble({ runs: ["a", "b", "c"].map((id) => aRun({ id })) });
    vi.stubGlobal("fetch", server.fetch);

    const first = await getRuns({ limit: 2, filter: "", sort: "-started" });
    const second = await getRuns({ limit: 2, cursor: first.next_cursor });

    expect([first, second].flatMap((page) => page.runs.map((run) => run.id))).toEqual(["a", "b", "c"]);
    expect(second.next_cursor).toBeNull();
    expect(new URL(server.asked[0]?.url ?? "").search).toBe("?limit=2&sort=-started");
  });

  it("says what the server said, with the request's id", async () => {
    vi.stubGlobal("fetch", serverDouble({}).fetch);
    expect(await failure(askJson(path("nothing")))).toMatchObject({
      status: 404,
      code: "no-route",
      requestId: "req-1",
    });
  });

  it("asks for a key when it is refused one, and sends it from then on", async () => {
    const server = serverDouble({ key: "secret", answers: { "/api/v1/server": { version: "1" } } });
    vi.stubGlobal("fetch", server.fetch);

    const error = await failure(askJson(path("server")));
    expect([error.status, keyWanted()]).toEqual([401, true]);
    setKey("secret");

    expect(keyWanted()).toBe(false);
    expect(await askJson(path("server"))).toEqual({ version: "1" });
    setKey("");
  });

  it("tells a proxy's page from an error of clew's", async () => {
    const page = new Response("<html>Bad gateway</html>", { status: 502 });
    vi.stubGlobal("fetch", serverDouble({ answers: { "/api/v1/x": page } }).fetch);
    expect(await failure(ask(path("x")))).toMatchObject({ code: "not-from-clew", isRetryable: true });
  });

  it("tells a server that does not answer from one that says no", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    const error = await failure(ask(path("x")));
    expect(error).toMatchObject({ status: 0, code: "server-unreachable" });
    expect([0, 2, 3].map((failures) => shouldRetry(failures, error))).toEqual([true, true, false]);
  });

  it("leaves an aborted request aborted", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new DOMException("stopped", "AbortError")));
    await expect(ask(path("x"))).rejects.toHaveProperty("name", "AbortError");
  });
});

it("numbers keep all their digits where the browser tells them", () => {
  const knowsSource = "rawJSON" in JSON; // came together with what the reviver is told
  const parsed = parseJson<{ t: unknown; small: unknown; part: unknown }>(
    '{"t": 1764242406123456789, "small": 5, "part": 0.1234567890123456789}',
  );
  expect(parsed.t).toBe(knowsSource ? 1764242406123456789n : 1764242406123456800);
  expect([parsed.small, parsed.part]).toEqual([5, 0.12345678901234568]);
});
