/**
 * The thread as a list of steps, from where it began to what is selected, with the line down its side. A step
 * further to the right happened in another task, thread or process.
 */

import { type ReactNode, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Thread, ThreadStep } from "../../api/types";
import { place as placeText } from "../../base/format";
import { absolute, duration, exactMoment, moment } from "../../base/time";
import { usePlace } from "../../model/place";
import { hueOf } from "../../model/processes";
import { type PathNode, scopeKey, threadPath } from "../../model/thread_path";
import { stepAt } from "../../model/walk";
import { useRunState } from "../run/context";
import "./thread.css";

/** Of a longer thread the beginning is folded: what is near is most likely the cause. */
const FEW = 10;

const BEGINNINGS: Record<string, string> = {
  "process-start": "It begins as the process starts",
  request: "It begins with a request from outside",
  timer: "It begins with a timer",
  io: "It begins with something that came in",
  "not-recorded": "What led here was not recorded",
  dropped: "What led here was dropped: the buffer was full",
};

/** How one step led to the next, where it is not the same task simply going on. */
const HOWS: Record<string, string> = {
  wake: "woke",
  spawn: "started",
  remote: "called",
  cause: "caused",
};

export function ThreadList({ thread }: { thread: Thread }): ReactNode {
  const [isAll, setIsAll] = useState(false);
  const place = usePlace();
  const whole = stepAt(thread.steps, place);
  const folded = Math.max(0, thread.steps.length - FEW);
  // Who walks back along the line unfolds it.
  const hidden = isAll || (whole >= 0 && whole < folded) ? 0 : folded;
  const steps = useMemo(() => thread.steps.slice(hidden), [thread.steps, hidden]);
  const path = useMemo(() => threadPath(steps), [steps]);
  const at = whole - hidden;
  const active = useRef<HTMLButtonElement>(null);
  const isWalking = place.thread !== null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another step is what moves the list
  useLayoutEffect(() => {
    if (isWalking) active.current?.scrollIntoView({ block: "nearest" });
  }, [at, isWalking]);
  const isCut = thread.truncated || thread.begins === "not-recorded" || thread.begins === "dropped";
  return (
    <div className="thread">
      <p className={`thread-begin${isCut ? " is-cut" : ""}`}>
        {thread.truncated
          ? "The thread is longer: its beginning is left out"
          : (BEGINNINGS[thread.begins] ?? thread.begins)}
      </p>
      {hidden > 0 && (
        <button type="button" className="text-button thread-more" onClick={() => setIsAll(true)}>
          Show {hidden} earlier steps
        </button>
      )}
      <div className="thread-body" style={{ height: path.height }}>
        <svg className="thread-line" width={path.width} height={path.height} aria-hidden="true">
          <path d={path.line} className="thread-path" />
          {path.waits.map((wait) => (
            <path key={wait.step} d={wait.line} className="thread-wait" />
          ))}
          {path.nodes.map((node) => (
            <circle
              key={node.step}
              cx={node.x}
              cy={node.y}
              r={node.step === steps.length - 1 ? 5 : 3.5}
              className={`thread-node${node.step === at ? " is-active" : ""}${node.step === steps.length - 1 ? " is-end" : ""}`}
            />
          ))}
        </svg>
        <ol className="thread-steps" style={{ marginLeft: path.width }}>
          {path.nodes.map((node) => {
            const step = steps[node.step];
            return step ? (
              <Step
                key={`${step.process}:${step.seq}`}
                step={step}
                before={steps[node.step - 1]}
                node={node}
                isActive={node.step === at}
                mark={node.step === at ? active : null}
              />
            ) : null;
          })}
        </ol>
      </div>
    </div>
  );
}

interface StepProps {
  readonly step: ThreadStep;
  readonly before: ThreadStep | undefined;
  readonly node: PathNode;
  readonly isActive: boolean;
  readonly mark: { current: HTMLButtonElement | null } | null;
}

function Step({ step, before, node, isActive, mark }: StepProps): ReactNode {
  const { run, walk, hues } = useRunState();
  const isElsewhere = !before || scopeKey(before) !== scopeKey(step);
  const site = placeText(step.file ?? "", step.line);
  const isWait = node.height > 44;
  return (
    <li style={{ height: node.height }}>
      <button
        type="button"
        ref={mark}
        className={`thread-step${isActive ? " is-active" : ""}`}
        aria-current={isActive ? "step" : undefined}
        onClick={() => walk(step)}
      >
        <span className="thread-text" title={step.text}>
          <span className="unseen">{step.text}</span>
          <span aria-hidden="true">{withoutSubject(step)}</span>
        </span>
        <span className="thread-facts">
          <span title={`${exactMoment(step.t_ns)}\n${absolute(run.started_at, step.t_ns)}`}>
            {moment(step.t_ns)}
          </span>
          {isElsewhere && (
            <span
              className="thread-scope"
              style={{ borderColor: hueOf(hues, step.process) }}
              title={`${step.scope ?? ""} of ${step.service}`}
            >
              {[step.scope, step.service].filter(Boolean).join(" · ")}
            </span>
          )}
          {site && <code title={`${step.file}:${step.line} ${step.function ?? ""}`}>{site}</code>}
        </span>
      </button>
      {isWait && step.waited_ns !== null && <Gap ns={step.waited_ns} how={step.how} />}
    </li>
  );
}

/** What a step did; who did it stands below, or is the one of the step before. */
function withoutSubject({ text, scope }: ThreadStep): string {
  return scope && text.startsWith(`${scope} `) ? text.slice(scope.length + 1) : text;
}

/** How long it took to the next step: a wait where something else had to happen first. */
function Gap({ ns, how }: { ns: number; how: string | null }): ReactNode {
  const word = HOWS[how ?? ""];
  if (!word) return <span className="thread-gap muted">{duration(ns)} went by</span>;
  return (
    <span className="thread-gap">
      <span className="waited-hatch" aria-hidden="true" />
      {duration(ns)} until it {word} the next
    </span>
  );
}
