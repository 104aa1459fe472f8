/** A part of the inspector, under its name. */

import type { ReactNode } from "react";

interface SectionProps {
  readonly title: string;
  readonly note?: ReactNode;
  readonly children: ReactNode;
}

export function Section({ title, note, children }: SectionProps): ReactNode {
  return (
    <section className="inspector-part">
      <h3>
        {title}
        {note && <span className="muted">{note}</span>}
      </h3>
      {children}
    </section>
  );
}
