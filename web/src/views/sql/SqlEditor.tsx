/** A box for SQL: a plain text area that keeps what the browser can do, over a coloured copy of its text. */

import { type KeyboardEvent, type ReactNode, type Ref, useRef } from "react";
import { sqlWords } from "../../model/sql_words";

interface EditorProps {
  readonly ref: Ref<HTMLTextAreaElement>;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

export function SqlEditor({ ref, value, onChange }: EditorProps): ReactNode {
  const copy = useRef<HTMLPreElement>(null);
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.key === "Escape") event.currentTarget.blur();
    // Tab stays the key that leaves the box: people who use no mouse must get out of it.
  };
  return (
    <div className="editor">
      <pre className="editor-copy" ref={copy} aria-hidden="true">
        {sqlWords(value).map((word, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: words have no other name
          <span key={i} className={`sql-${word.kind}`}>
            {word.text}
          </span>
        ))}
        {"\n"}
      </pre>
      <textarea
        ref={ref}
        className="editor-text"
        aria-label="SQL query"
        spellCheck={false}
        autoCapitalize="off"
        autoComplete="off"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={onKeyDown}
        onScroll={(event) => {
          if (!copy.current) return;
          copy.current.scrollTop = event.currentTarget.scrollTop;
          copy.current.scrollLeft = event.currentTarget.scrollLeft;
        }}
      />
    </div>
  );
}
