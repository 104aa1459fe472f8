/** All keys, by what they are for. */

import { type ReactNode, useEffect, useRef } from "react";
import { type Action, keyLabel, useAllActions } from "../model/keys";
import { Key } from "../widgets/marks";
import { showOverlay, useOverlay } from "./overlay";

const GROUPS = ["Go to", "Select", "Thread", "Timeline", "Query", "View"] as const;

export function Help(): ReactNode {
  return useOverlay() === "help" ? <OpenHelp /> : null;
}

function OpenHelp(): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const withKeys = useAllActions().filter((action, i, all) => {
    return action.key && all.findLastIndex((other) => other.id === action.id) === i;
  });
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a click beside it closes it, as Escape does
    <dialog
      ref={dialog}
      className="dialog help"
      aria-labelledby="help-title"
      onClose={() => showOverlay(null)}
      onClick={(event) => event.target === dialog.current && showOverlay(null)}
    >
      <div className="help-head">
        <h2 id="help-title">Keys on this page</h2>
        <button type="button" className="button" onClick={() => showOverlay(null)}>
          Close
        </button>
      </div>
      <div className="help-groups">
        {GROUPS.map((group) => (
          <HelpGroup
            key={group}
            group={group}
            actions={withKeys.filter((action) => action.group === group)}
          />
        ))}
      </div>
    </dialog>
  );
}

function HelpGroup({ group, actions }: { group: string; actions: readonly Action[] }): ReactNode {
  if (actions.length === 0) return null;
  return (
    <section>
      <h3>{group}</h3>
      <dl>
        {actions.map((action) => (
          <div key={action.id}>
            <dt>
              <Key label={keyLabel(action.key ?? "")} />
            </dt>
            <dd>{action.title}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
