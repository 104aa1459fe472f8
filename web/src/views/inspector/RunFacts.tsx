/** With nothing selected: the run, its processes, and how to go on. */

import type { ReactNode } from "react";
import { plural } from "../../base/format";
import { duration } from "../../base/time";
import { keyLabel } from "../../model/keys";
import { Key } from "../../widgets/marks";
import { useRunState } from "../run/context";
import { ProcessFacts } from "./ProcessFacts";
import { Section } from "./Section";

export function RunFacts(): ReactNode {
  const { run } = useRunState();
  const { processes } = run.detail;
  return (
    <>
      <header className="inspector-head">
        <h2>{run.name}</h2>
        <p>
          <span>{duration(run.duration_ns)}</span>
          <span>{plural(run.spans, "span")}</span>
          <span>{plural(processes.length, "process")}</span>
        </p>
      </header>
      <p className="inspector-hint">
        Select anything to see what caused it. <Key label={keyLabel("[")} /> and <Key label={keyLabel("]")} />{" "}
        then go along its thread.
      </p>
      <Section title="Processes" note={processes.length}>
        {processes.map((process) => (
          <ProcessFacts key={process.process} process={process} />
        ))}
      </Section>
      <footer className="inspector-foot">
        <code>{run.id}</code>
      </footer>
    </>
  );
}
