/** What can go wrong between the page and the server, in the one shape the server answers errors in. */

import type { ErrorBody } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** A slug: docs/messages.md has a heading for it. */
    readonly code: string,
    message: string,
    readonly requestId: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    readonly isRetryable = false,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** The error an answer tells of; one is made up where something between us and the server answered. */
export async function errorOf(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("X-Request-Id") ?? "";
  const text = await response.text().catch(() => "");
  const body = parsedBody(text);
  if (body) {
    const { code, message, details, retryable } = body.error;
    return new ApiError(
      response.status,
      code,
      message,
      body.request_id || requestId,
      details ?? {},
      retryable === "yes",
    );
  }
  const message = `The answer has status ${response.status} and is none of clew's: something between this page and the server sent it.`;
  return new ApiError(response.status, "not-from-clew", message, requestId, {}, response.status >= 500);
}

/** The error of a request that had no answer. */
export function unreachable(cause: unknown): ApiError {
  const why = cause instanceof Error ? ` (${cause.message})` : "";
  const message = `The server does not answer${why}. Is 'clew serve' still running? The page goes on by itself once it does.`;
  return new ApiError(0, "server-unreachable", message, "", {}, true);
}

function parsedBody(text: string): ErrorBody | null {
  try {
    const body = JSON.parse(text) as Partial<ErrorBody>;
    return typeof body.error?.code === "string" && typeof body.error.message === "string"
      ? (body as ErrorBody)
      : null;
  } catch {
    return null; // not JSON: a proxy's page
  }
}
