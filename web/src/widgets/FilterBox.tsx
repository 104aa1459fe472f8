/** A box for a filter: completes the words of the language, and says below it where it is wrong. */

import {
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { ApiError } from "../api/errors";
import { type Completion, complete, completions, type Subject } from "../model/filters";
import { useActions } from "../model/keys";
import "./filter_box.css";

interface FilterBoxProps {
  readonly subject: Subject;
  readonly value: string;
  readonly onChange: (filter: string) => void;
  readonly error: Error | null;
  readonly label: string;
  readonly placeholder: string;
  /** Values that are known for a field: the services there are. */
  readonly known?: Readonly<Record<string, readonly string[]>>;
  /** Takes the focus at `/`. */
  readonly isPrimary?: boolean;
}

/** How long nothing must be typed before the list is asked for. */
const QUIET_MS = 220;

export function FilterBox(props: FilterBoxProps): ReactNode {
  const { value, onChange, subject, known = {} } = props;
  const [text, setText] = useState(value);
  const [caret, setCaret] = useState(0);
  const [isOpen, setIsOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const sent = useRef(value);
  const id = useId();
  // Where the caret goes with the next text: at once, or a fast typist's next letter would be behind it.
  const moved = useRef<number | null>(null);
  useLayoutEffect(() => {
    if (moved.current === null) return;
    input.current?.setSelectionRange(moved.current, moved.current);
    moved.current = null;
  });

  // Changed from elsewhere: the palette, a click, the browser's "back".
  useEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    setText(value);
  }, [value]);
  useEffect(() => {
    const trimmed = text.trim();
    if (trimmed === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = trimmed;
      onChange(trimmed);
    }, QUIET_MS);
    return () => clearTimeout(timer);
  }, [text, onChange]);
  useActions(
    props.isPrimary
      ? [
          {
            id: "filter.focus",
            title: props.label,
            key: "/",
            group: "Go to",
            run: () => input.current?.focus(),
          },
        ]
      : [],
  );

  // Between words what is wrong is more wanted than all the words there are.
  const offersNow = isOpen && (props.error === null || isBegun(text, caret));
  const offers = offersNow ? completions(text, caret, subject, known) : [];
  const take = (offer: Completion) => {
    const next = complete(text, offer);
    setText(next.text);
    setAt(-1);
    setCaret(next.caret);
    moved.current = next.caret;
  };
  const finish = () => {
    sent.current = text.trim();
    onChange(text.trim());
    setIsOpen(false);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const offer = offers[at];
    if (event.key === "ArrowDown" && offers.length) setAt((at + 1) % offers.length);
    else if (event.key === "ArrowUp" && offers.length) setAt((at - 1 + offers.length) % offers.length);
    else if ((event.key === "Tab" || event.key === "Enter") && offer) take(offer);
    else if (event.key === "Tab" && offers[0] && isBegun(text, caret)) take(offers[0]);
    else if (event.key === "Enter") finish();
    else if (event.key === "Escape") {
      event.stopPropagation();
      if (isOpen && offers.length) setIsOpen(false);
      else input.current?.blur();
      return;
    } else return;
    event.preventDefault();
  };

  return (
    <div className="filter">
      <svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true" className="filter-icon">
        <circle cx="6" cy="6" r="4" className="mark-ring" />
        <path d="M9 9l3.5 3.5" className="mark-line" />
      </svg>
      <input
        ref={input}
        className="filter-input"
        type="text"
        role="combobox"
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        aria-label={props.label}
        aria-expanded={offers.length > 0}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
        aria-invalid={props.error !== null}
        aria-describedby={`${id}-error`}
        placeholder={props.placeholder}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setCaret(event.target.selectionStart ?? event.target.value.length);
          setIsOpen(true);
          setAt(-1);
        }}
        onSelect={(event) => setCaret(event.currentTarget.selectionStart ?? 0)}
        onFocus={() => setIsOpen(true)}
        onBlur={() => setIsOpen(false)}
        onKeyDown={onKeyDown}
      />
      {text && (
        <button
          type="button"
          className="filter-clear"
          aria-label="Clear the filter"
          onClick={() => setText("")}
        >
          ×
        </button>
      )}
      <Wrong id={`${id}-error`} error={props.error} text={value} isHidden={offers.length > 0} />
      {offers.length > 0 && (
        <div className="filter-offers" role="listbox" id={`${id}-list`} aria-label="Completions">
          {offers.map((offer, i) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: keys are the box's, which keeps the focus
            <div
              key={offer.text}
              id={`${id}-${i}`}
              role="option"
              aria-selected={i === at}
              className={i === at ? "is-active" : ""}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => take(offer)}
            >
              <code>{offer.text}</code>
              <span>{offer.hint}</span>
            </div>
          ))}
        </div>
      )}
    </div>
  );
}

/** Whether a word has been begun at the caret: only then Tab completes and does not leave the box. */
function isBegun(text: string, caret: number): boolean {
  return caret > 0 && !/\s/.test(text[caret - 1] ?? " ");
}

interface WrongProps {
  readonly id: string;
  readonly error: Error | null;
  readonly text: string;
  readonly isHidden: boolean;
}

function Wrong({ id, error, text, isHidden }: WrongProps): ReactNode {
  const [position, length] = errorSpan(error, text);
  return (
    <div id={id} className="filter-wrong" role="status" hidden={error === null || isHidden}>
      {error && position !== null && (
        <span
          className="filter-where"
          aria-hidden="true"
          style={{ left: `${position}ch`, width: `${length}ch` }}
        />
      )}
      {error?.message}
    </div>
  );
}

/** Where in the filter the server found the error: position and length in characters. */
export function errorSpan(error: Error | null, text: string): [number | null, number] {
  if (!(error instanceof ApiError)) return [null, 0];
  const { position, offset, length } = error.details;
  const at = typeof position === "number" ? position : typeof offset === "number" ? offset : null;
  if (at === null || at > text.length) return [null, 0];
  const word = /^\S*/.exec(text.slice(at))?.[0].length ?? 0;
  return [at, typeof length === "number" && length > 0 ? length : Math.max(1, word)];
}
