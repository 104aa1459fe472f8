/** An error, and the ones it was raised from. */

import type { ReactNode } from "react";
import { Section } from "./Section";

type Link = Readonly<Record<string, unknown>>;

export function ErrorChain({ chain }: { chain: readonly Link[] }): ReactNode {
  return (
    <Section title="Error">
      <ol className="chain">
        {chain.map((link, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a chain never changes
          <li key={i}>
            {i > 0 && <span className="muted">{text(link.how) || "raised from"} </span>}
            <strong>{text(link.type)}</strong>
            {text(link.message) && `: ${text(link.message)}`}
          </li>
        ))}
      </ol>
    </Section>
  );
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
