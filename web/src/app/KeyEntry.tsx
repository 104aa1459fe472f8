/** Asks for a key where the server wants one. This tab keeps it, and forgets it with the tab. */

import { type FormEvent, type ReactNode, useEffect, useRef, useSyncExternalStore } from "react";
import { key, keyWanted, onKeyWanted, setKey } from "../api/client";
import { Command } from "../widgets/states";

export function KeyEntry(): ReactNode {
  const isWanted = useSyncExternalStore(onKeyWanted, keyWanted);
  const dialog = useRef<HTMLDialogElement>(null);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!isWanted || dialog.current?.open) return;
    dialog.current?.showModal();
    input.current?.focus();
  }, [isWanted]);
  const enter = (event: FormEvent) => {
    event.preventDefault();
    const value = input.current?.value.trim() ?? "";
    if (!value) return;
    setKey(value);
    // From the beginning: every list, query and connection was refused.
    location.reload();
  };
  if (!isWanted) return null;
  return (
    <dialog ref={dialog} className="dialog key-entry" aria-labelledby="key-title">
      <form onSubmit={enter}>
        <h2 id="key-title">{key() ? "The server does not know this key" : "This server wants a key"}</h2>
        <p className="muted">An operator of the server makes one and shows it once:</p>
        <Command text="clew serve --make-key NAME:viewer" />
        <label>
          <span className="unseen">Key</span>
          <input ref={input} type="password" autoComplete="off" placeholder="Key" className="text-input" />
        </label>
        <button type="submit" className="button is-main">
          Enter
        </button>
      </form>
    </dialog>
  );
}
