/** Ask anything of what is stored, in SQL. */

import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { runSql } from "../../api/requests";
import type { SqlAnswer } from "../../api/types";
import { keyLabel, useActions } from "../../model/keys";
import { go, usePlace } from "../../model/place";
import { Key } from "../../widgets/marks";
import { Splitter, useSize } from "../../widgets/Splitter";
import { EXAMPLES } from "./examples";
import { Results } from "./Results";
import { Schema } from "./Schema";
import { SqlEditor } from "./SqlEditor";
import "./sql.css";

/** More rows than anyone reads; a download of all is one `copy` away in the terminal. */
const LIMIT = 10_000;

export default function SqlView(): ReactNode {
  const { filter: addressed } = usePlace();
  const [query, setQuery] = useState(addressed || (EXAMPLES[0]?.query ?? ""));
  const [height, setHeight] = useSize("sql", { least: 80, most: 1200, usual: 200 });
  const editor = useRef<HTMLTextAreaElement>(null);
  const stop = useRef<AbortController | null>(null);
  const asked = useMutation<SqlAnswer, Error, string>({
    mutationFn: (text) => {
      stop.current?.abort();
      stop.current = new AbortController();
      return runSql(text, null, LIMIT, stop.current.signal);
    },
  });
  const run = (text: string) => {
    go({ filter: text });
    asked.mutate(text);
  };
  const insert = (word: string) => {
    const area = editor.current;
    if (!area) return;
    area.focus();
    area.setRangeText(word, area.selectionStart, area.selectionEnd, "end");
    setQuery(area.value);
  };
  useActions([
    { id: "sql.run", title: "Run the query", key: "mod+enter", group: "Query", run: () => run(query) },
    { id: "sql.focus", title: "Write a query", key: "/", group: "Query", run: () => editor.current?.focus() },
  ]);
  // An address with a query is answered at once: it shows a colleague the same rows.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only as the page opens
  useEffect(() => {
    if (addressed) asked.mutate(addressed);
  }, []);
  return (
    <div className="sql">
      <div className="sql-main">
        <div className="sql-editor" style={{ height }}>
          <SqlEditor ref={editor} value={query} onChange={setQuery} />
        </div>
        <Splitter
          label="Height of the editor"
          orientation="horizontal"
          size={height}
          onSize={setHeight}
          changes="before"
        />
        <div className="sql-bar">
          <button
            type="button"
            className="button is-main"
            onClick={() => run(query)}
            disabled={!query.trim()}
          >
            {asked.isPending ? "Running …" : "Run"}
          </button>
          <Key label={keyLabel("mod+enter")} />
          <label className="sql-examples">
            <span className="unseen">Examples</span>
            <select
              value=""
              onChange={(event) => setQuery(EXAMPLES[Number(event.target.value)]?.query ?? query)}
            >
              <option value="" disabled>
                Examples
              </option>
              {EXAMPLES.map((example, i) => (
                <option key={example.title} value={i}>
                  {example.title}
                </option>
              ))}
            </select>
          </label>
        </div>
        <Results answer={asked.data ?? null} error={asked.error} isPending={asked.isPending} />
      </div>
      <Schema onInsert={insert} />
    </div>
  );
}
