/** Asks the server. Everything goes through `ask`: one place for keys, errors and numbers that are too long. */

import { ApiError, errorOf, unreachable } from "./errors";

const KEY = "clew.key";

type Listener = () => void;
const listeners = new Set<Listener>();
let isKeyWanted = false;

/** The key of this tab; it is forgotten with the tab. */
export function key(): string {
  return sessionStorage.getItem(KEY) ?? "";
}

/** Keeps a key for this tab, and lets the page ask again. */
export function setKey(value: string): void {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  wantKey(false);
}

/** Says whether the server refused for want of a key. */
export const keyWanted = (): boolean => isKeyWanted;

export function onKeyWanted(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function wantKey(wanted: boolean): void {
  isKeyWanted = wanted;
  for (const listener of listeners) listener();
}

/** Sends a request; raises an `ApiError` unless the answer is good. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const mine = key();
  if (mine) headers.set("Authorization", `Bearer ${mine}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw unreachable(cause);
  }
  if (response.ok) return response;
  const error = await errorOf(response);
  if (error.status === 401) wantKey(true);
  throw error;
}

/** Asks for JSON. */
export async function askJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await ask(path, signal ? { signal } : {});
  return parseJson<T>(await response.text());
}

/** Sends JSON and asks for JSON. */
export async function sendJson<T>(
  method: string,
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const init: RequestInit = {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await ask(path, signal ? { ...init, signal } : init);
  return parseJson<T>(await response.text());
}

/** Reads JSON; a whole number that a double cannot hold becomes a bigint, where the browser tells its digits. */
export function parseJson<T>(text: string): T {
  // The third parameter ("source text access") is newer than TypeScript's own description of JSON.parse.
  const revive = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
      ? BigInt(context?.source ?? 0)
      : value;
  // Reviving costs a call for each value: only where there may be such a number at all.
  return /\d{16}/.test(text) ? JSON.parse(text, revive) : JSON.parse(text);
}

/** Writes a path with its query; what is null, undefined or empty is left out. */
export function path(
  base: string,
  query: Readonly<Record<string, string | number | null | undefined>> = {},
): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") words.set(name, String(value));
  }
  const text = words.toString();
  return `/api/v1/${base}${text ? `?${text}` : ""}`;
}

export { ApiError };
