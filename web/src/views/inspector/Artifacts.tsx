/** Bytes that were kept beside an event, to be downloaded. */

import { type ReactNode, useState } from "react";
import { getArtifact } from "../../api/requests";
import type { EventArtifact } from "../../api/types";
import { bytes } from "../../base/format";
import { saveAs } from "../../base/save";
import { Failure } from "../../widgets/states";
import { Section } from "./Section";

export function Artifacts({ artifacts }: { artifacts: readonly (EventArtifact | string)[] }): ReactNode {
  return (
    <Section title="Artifacts" note={artifacts.length}>
      <ul className="artifacts">
        {artifacts.map((one) => {
          const artifact = typeof one === "string" ? { hash: one } : one;
          return <Artifact key={artifact.hash} artifact={artifact} />;
        })}
      </ul>
    </Section>
  );
}

function Artifact({ artifact }: { artifact: EventArtifact }): ReactNode {
  const [error, setError] = useState<Error | null>(null);
  const name = artifact.name ?? artifact.hash.slice(0, 12);
  const download = () => {
    setError(null);
    getArtifact(artifact.hash)
      .then((blob) => saveAs(blob, name))
      .catch((failed: unknown) => setError(failed instanceof Error ? failed : new Error(String(failed))));
  };
  return (
    <li>
      <code title={artifact.hash}>{name}</code>
      <span className="muted">
        {[artifact.media_type, artifact.size === undefined ? "" : bytes(artifact.size)]
          .filter(Boolean)
          .join(", ")}
      </span>
      <button type="button" className="text-button" onClick={download}>
        Download
      </button>
      {error && <Failure error={error} />}
    </li>
  );
}
