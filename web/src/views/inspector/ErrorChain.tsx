/** The errors an error followed from, or that a group holds. */

import type { ReactNode } from "react";
import type { ErrorLink } from "../../api/types";
import { place } from "../../base/format";
import { Section } from "./Section";

export function ErrorChain({ chain }: { chain: readonly ErrorLink[] }): ReactNode {
  return (
    <Section title="Followed from" note={chain.length}>
      <ol className="chain">
        {chain.map((link, i) => {
          const frame = link.stack[0];
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: a chain never changes
            <li key={i}>
              <span className="muted">{link.relation} </span>
              <strong>{link.type}</strong>
              {link.message && `: ${link.message}`}
              {frame && <code className="muted"> {place(frame.file, frame.line, frame.function)}</code>}
            </li>
          );
        })}
      </ol>
    </Section>
  );
}
