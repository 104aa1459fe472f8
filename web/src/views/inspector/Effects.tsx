/** What an event directly enabled. */

import type { ReactNode } from "react";
import type { Effect } from "../../api/types";
import { age } from "../../base/time";
import { hueOf } from "../../model/processes";
import { useRunState } from "../run/context";
import { Section } from "./Section";

export function Effects({ effects, from }: { effects: readonly Effect[]; from: number }): ReactNode {
  const { show, hues } = useRunState();
  const isCut = effects.length >= 50;
  return (
    <Section title="It enabled" note={isCut ? "the first 50" : effects.length}>
      <ul className="effects">
        {effects.map((effect) => (
          <li key={`${effect.process}:${effect.seq}`}>
            <button type="button" onClick={() => show(effect)} title={effect.kind}>
              <span className="hued" style={{ borderColor: hueOf(hues, effect.process) }}>
                {effect.text || effect.kind}
              </span>
              <span className="muted">{age(effect.t_ns - from)}</span>
            </button>
          </li>
        ))}
      </ul>
    </Section>
  );
}
