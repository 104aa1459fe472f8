/** One event: what happened, its thread, where it is in the code, what it enabled, what it carries. */

import type { ReactNode } from "react";
import { useEvent, useThread } from "../../api/queries";
import type { EventDetail } from "../../api/types";
import { duration, exactMoment, moment } from "../../base/time";
import { usePlace } from "../../model/place";
import { type EventRef, threadOf } from "../../model/selection";
import { JsonTree } from "../../widgets/JsonTree";
import { copyText, Failure, Skeleton } from "../../widgets/states";
import { useRunState } from "../run/context";
import { Artifacts } from "./Artifacts";
import { Effects } from "./Effects";
import { ErrorChain } from "./ErrorChain";
import { Section } from "./Section";
import { Source, Stack } from "./Source";
import { ThreadList } from "./ThreadList";

export function EventFacts({ event: ref }: { event: EventRef }): ReactNode {
  const { run } = useRunState();
  const place = usePlace();
  const { data: event, error, refetch } = useEvent(run.id, ref);
  const end = threadOf(place);
  const thread = useThread(run.id, end);
  if (error && !event) return <Failure error={error} onRetry={() => void refetch()} />;
  if (!event) return <Skeleton label="Loading the event" />;
  const { detail, attrs } = event;
  return (
    <>
      <Head event={event} />
      <Facts event={event} />
      <Section title="Thread of causes" note={thread.data && `${thread.data.steps.length} steps`}>
        {thread.error && <Failure error={thread.error} onRetry={() => void thread.refetch()} />}
        {thread.data && <ThreadList thread={thread.data} />}
        {thread.isLoading && <Skeleton lines={5} label="Loading the thread" />}
      </Section>
      {detail.effects.length > 0 && <Effects effects={detail.effects} from={event.t_ns} />}
      {event.file && <Source event={event} />}
      {detail.chain.length > 0 && <ErrorChain chain={detail.chain} />}
      {detail.stack.length > 1 && <Stack event={event} />}
      {attrs && Object.keys(attrs).length > 0 && (
        <Section title="Attributes">
          <JsonTree value={attrs} />
        </Section>
      )}
      {detail.artifacts.length > 0 && <Artifacts artifacts={detail.artifacts} />}
      <footer className="inspector-foot">
        <code>
          {event.process}:{event.seq}
        </code>
        <button type="button" className="text-button" onClick={() => void copyText(location.href)}>
          Copy the link
        </button>
      </footer>
    </>
  );
}

function Head({ event }: { event: EventDetail }): ReactNode {
  const path = event.detail.scope_path;
  return (
    <header className="inspector-head">
      <h2>{event.detail.text || event.kind}</h2>
      <p>
        <time dateTime={event.detail.at} title={`${event.detail.at}\n${exactMoment(event.t_ns)}`}>
          {moment(event.t_ns)}
        </time>
        {path.map((scope) => (
          <span key={scope.entity_id} title={scope.kind}>
            {scope.name || scope.kind}
          </span>
        ))}
      </p>
    </header>
  );
}

function Facts({ event }: { event: EventDetail }): ReactNode {
  const facts: [string, ReactNode][] = [
    ["Kind", <code key="kind">{event.kind}</code>],
    ["Asked for", event.op?.replace("_", " ")],
    ["About", [event.entity_kind, event.entity].filter(Boolean).join(" ")],
    ["Waited", event.wait_ns ? <Waited key="waited" ns={event.wait_ns} /> : ""],
    ["Took", event.duration_ns ? duration(event.duration_ns) : ""],
    ["Outcome", event.outcome],
    ["Part of", event.span],
  ];
  return (
    <dl className="inspector-facts">
      {facts
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

function Waited({ ns }: { ns: number }): ReactNode {
  return (
    <span className="waited">
      <span className="waited-hatch" aria-hidden="true" />
      {duration(ns)}
    </span>
  );
}
