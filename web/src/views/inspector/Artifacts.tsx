/** Bytes that were kept beside an event, to be downloaded. */

import { type ReactNode, useState } from "react";
import { getArtifact } from "../../api/requests";
import { saveAs } from "../../base/save";
import { Failure } from "../../widgets/states";
import { Section } from "./Section";

export function Artifacts({ artifacts }: { artifacts: readonly string[] }): ReactNode {
  return (
    <Section title="Artifacts" note={artifacts.length}>
      <ul className="artifacts">
        {artifacts.map((hash) => (
          <Artifact key={hash} hash={hash} />
        ))}
      </ul>
    </Section>
  );
}

function Artifact({ hash }: { hash: string }): ReactNode {
  const [error, setError] = useState<Error | null>(null);
  const download = () => {
    setError(null);
    getArtifact(hash)
      .then((blob) => saveAs(blob, hash.slice(0, 16)))
      .catch((failed: unknown) => setError(failed instanceof Error ? failed : new Error(String(failed))));
  };
  return (
    <li>
      <code title={hash}>{hash.slice(0, 16)}</code>
      <button type="button" className="text-button" onClick={download}>
        Download
      </button>
      {error && <Failure error={error} />}
    </li>
  );
}
