/** What a finding rests on. */

import type { Finding } from "../api/types";
import type { EventRef } from "./selection";

/** The first event of the evidence: where "show me" leads. */
export function evidenceEvent(finding: Pick<Finding, "evidence">): EventRef | null {
  for (const { type, process, seq } of finding.evidence) {
    if (type === "event" && typeof process === "string" && typeof seq === "number") return { process, seq };
  }
  return null;
}
