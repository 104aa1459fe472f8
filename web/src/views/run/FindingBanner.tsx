/** A finding speaks first: one sentence, how it is known, where to see it, what would free it. */

import { type ReactNode, useState } from "react";
import type { RunDetail } from "../../api/types";
import { evidenceEvent } from "../../model/evidence";
import { go } from "../../model/place";
import { ConfidenceBadge, SeverityMark } from "../../widgets/marks";
import { useRunState } from "./context";

export function FindingBanner({ run }: { run: RunDetail }): ReactNode {
  const { findings } = run.detail;
  const { show } = useRunState();
  const [at, setAt] = useState(0);
  const [isOpen, setIsOpen] = useState(false);
  const finding = findings[Math.min(at, findings.length - 1)];
  if (!finding) return null;
  const event = evidenceEvent(finding);
  const site = finding.subjects.find((subject) => subject.site)?.site;
  return (
    <section className={`finding finding-${finding.severity}`} aria-label="Finding">
      <div className="finding-line">
        <p className="finding-title">
          <SeverityMark severity={finding.severity} /> {finding.title}
        </p>
        <ConfidenceBadge confidence={finding.confidence} />
        {finding.occurrences > 1 && <span className="muted">{finding.occurrences} times</span>}
        <span className="finding-actions">
          {event && (
            <button
              type="button"
              className="text-button"
              onClick={() => {
                go({ zoom: null });
                show(event);
              }}
            >
              Show me
            </button>
          )}
          <button
            type="button"
            className="text-button"
            aria-expanded={isOpen}
            onClick={() => setIsOpen(!isOpen)}
          >
            What would fix it
          </button>
          {findings.length > 1 && (
            <button type="button" className="text-button" onClick={() => setAt((at + 1) % findings.length)}>
              {at + 1} of {findings.length}
            </button>
          )}
        </span>
      </div>
      {isOpen && (
        <div className="finding-more">
          <p>{finding.explanation}</p>
          <p>
            <strong>{finding.advice}</strong>
          </p>
          {site && (
            <code className="muted">
              {site.file}:{site.line} {site.function}
            </code>
          )}
        </div>
      )}
    </section>
  );
}
