/** What stands where there is nothing yet, nothing at all, or something went wrong. */

import { type ReactNode, useState } from "react";
import { ApiError } from "../api/errors";
import "./states.css";

/** A command to type, ready to copy. */
export function Command({ text }: { text: string }): ReactNode {
  const [isCopied, setIsCopied] = useState(false);
  const copy = () => {
    void copyText(text).then(() => {
      setIsCopied(true);
      setTimeout(() => setIsCopied(false), 1500);
    });
  };
  return (
    <div className="command">
      <code>{text}</code>
      <button type="button" className="button" onClick={copy} aria-label={`Copy ${text}`}>
        {isCopied ? "Copied" : "Copy"}
      </button>
      <span className="unseen" role="status">
        {isCopied ? "Copied" : ""}
      </span>
    </div>
  );
}

/** Copies a text; also on a page that came over plain HTTP, where the clipboard is closed to scripts. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

interface EmptyProps {
  readonly title: string;
  readonly children?: ReactNode;
  readonly command?: string | undefined;
}

/** Nothing is here: why, and what to type next. */
export function Empty({ title, children, command }: EmptyProps): ReactNode {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {command && <Command text={command} />}
    </div>
  );
}

/** Something went wrong: what the server said, and the number under which its log has it. */
export function Failure({ error, onRetry }: { error: Error; onRetry?: () => void }): ReactNode {
  const known = error instanceof ApiError ? error : null;
  return (
    <div className="failure" role="alert">
      <p className="failure-text">{error.message}</p>
      <p className="failure-facts">
        {known && <span>{known.code}</span>}
        {known?.requestId && (
          <span>
            request <code>{known.requestId}</code>
          </span>
        )}
        {onRetry && (
          <button type="button" className="button" onClick={onRetry}>
            Try again
          </button>
        )}
      </p>
    </div>
  );
}

/** Lines of the shape that what is coming will have. */
export function Skeleton({ lines = 8, label = "Loading" }: { lines?: number; label?: string }): ReactNode {
  return (
    <div className="skeleton" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines that are all alike
        <span key={i} style={{ width: `${34 + ((i * 37) % 52)}%` }} />
      ))}
    </div>
  );
}
