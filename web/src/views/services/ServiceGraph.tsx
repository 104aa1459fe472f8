/** Who calls whom, from left to right. An edge says how often and how long at most (95 of 100). */

import type { ReactNode } from "react";
import type { ServiceCall, Services } from "../../api/types";
import { cut, short } from "../../base/format";
import { duration } from "../../base/time";
import { layered } from "../../model/layers";
import { callKey } from "./ServicesPanel";

interface GraphProps {
  readonly services: Services;
  readonly active: string | null;
  readonly onActive: (name: string) => void;
}

const NODE = { width: 188, height: 44 };
const GAP = { x: 176, y: 56 };
const PAD = 24;

/** About the width of a letter at 11 px: the ground behind the words of an edge is as wide as they are. */
const LETTER = 6.2;

interface Spot {
  readonly x: number;
  readonly y: number;
}

export function ServiceGraph({ services: found, active, onActive }: GraphProps): ReactNode {
  const laid = layered(
    found.services.map((one) => one.name),
    found.calls,
  );
  const height = PAD * 2 + laid.rows * (NODE.height + GAP.y) - GAP.y;
  const width = PAD * 2 + laid.layers * (NODE.width + GAP.x) - GAP.x;
  const spots = new Map<string, Spot>();
  for (const [name, { layer, place, of }] of laid.nodes) {
    const used = of * (NODE.height + GAP.y) - GAP.y;
    const y = (height - used) / 2 + place * (NODE.height + GAP.y);
    spots.set(name, { x: PAD + layer * (NODE.width + GAP.x), y });
  }
  const most = Math.max(1, ...found.calls.map((call) => call.count));
  return (
    <div className="service-graph">
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`${found.services.length} services, ${found.calls.length} kinds of calls; the tables tell the same`}
      >
        <defs>
          <marker
            id="arrow"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="9"
            markerHeight="9"
            markerUnits="userSpaceOnUse"
            orient="auto"
          >
            <path d="M0 0.5 7.5 4 0 7.5Z" className="graph-arrow" />
          </marker>
        </defs>
        {found.calls.map((call) => (
          <Edge key={callKey(call)} call={call} spots={spots} weight={call.count / most} active={active} />
        ))}
        {found.calls.map((call) => (
          <EdgeWords key={callKey(call)} call={call} spots={spots} active={active} />
        ))}
        {found.services.map((one) => {
          const spot = spots.get(one.name);
          if (!spot) return null;
          return (
            // biome-ignore lint/a11y/noStaticElementInteractions: the table below does the same with keys
            <g
              key={one.name}
              transform={`translate(${spot.x} ${spot.y})`}
              className={`graph-node${active === one.name ? " is-active" : ""}`}
              onClick={() => onActive(one.name)}
            >
              <title>{one.name}</title>
              <rect width={NODE.width} height={NODE.height} rx="4" />
              <text x="12" y="19">
                {cut(one.name, 22)}
              </text>
              <text x="12" y="35" className="graph-note">
                {one.spans ? `${short(one.spans)} · p95 ${duration(one.p95_ns)}` : "calls others"}
              </text>
              {one.errors > 0 && (
                <text x={NODE.width - 12} y="35" textAnchor="end" className="graph-bad">
                  ✕ {short(one.errors)}
                </text>
              )}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

interface EdgeProps {
  readonly call: ServiceCall;
  readonly spots: ReadonlyMap<string, Spot>;
  readonly active: string | null;
}

interface Curve {
  readonly start: Spot;
  readonly end: Spot;
  /** How far its middle points lie from its ends. */
  readonly bend: number;
}

function curveOf(call: ServiceCall, spots: ReadonlyMap<string, Spot>): Curve | null {
  const from = spots.get(call.from);
  const to = spots.get(call.to);
  if (!from || !to || from === to) return null;
  const isForward = to.x > from.x;
  const start = { x: isForward ? from.x + NODE.width : from.x, y: from.y + NODE.height / 2 };
  const end = { x: isForward ? to.x - 2 : to.x + NODE.width + 2, y: to.y + NODE.height / 2 };
  return { start, end, bend: (end.x - start.x) / 2 };
}

function edgeClass({ call, active }: EdgeProps): string {
  const isActive = active === callKey(call) || active === call.from || active === call.to;
  return `graph-edge${isActive ? " is-active" : ""}`;
}

function Edge(props: EdgeProps & { readonly weight: number }): ReactNode {
  const curve = curveOf(props.call, props.spots);
  if (!curve) return null;
  const { start, end, bend } = curve;
  return (
    <g className={edgeClass(props)}>
      <path
        d={`M${start.x} ${start.y}C${start.x + bend} ${start.y} ${end.x - bend} ${end.y} ${end.x} ${end.y}`}
        strokeWidth={1 + 1.5 * Math.sqrt(props.weight)}
        markerEnd="url(#arrow)"
      />
    </g>
  );
}

/** What is written on an edge; drawn after all edges, so that none strikes it through. */
function EdgeWords(props: EdgeProps): ReactNode {
  const { call } = props;
  const curve = curveOf(call, props.spots);
  if (!curve) return null;
  // Where an edge leaps over a layer its words would lie on that layer's nodes: they stand in the first gap.
  const at = Math.min(0.55, GAP.x / 2 / Math.max(1, Math.abs(curve.end.x - curve.start.x)));
  const label = curveAt(curve, at);
  const words = `${short(call.count)}× · ${duration(call.p95_ns)}${call.errors ? ` ✕ ${short(call.errors)}` : ""}`;
  const width = words.length * LETTER + 8;
  return (
    <g className={edgeClass(props)}>
      <rect x={label.x - width / 2} y={label.y - 8} width={width} height="16" className="graph-ground" />
      <text x={label.x} y={label.y + 4} textAnchor="middle">
        {short(call.count)}× · {duration(call.p95_ns)}
        {call.errors > 0 && <tspan className="graph-bad"> ✕ {short(call.errors)}</tspan>}
      </text>
    </g>
  );
}

/** A point of the edge's curve (de Casteljau, with the two middle points level with the ends). */
function curveAt({ start, end, bend }: Curve, t: number): Spot {
  const u = 1 - t;
  const weigh = (a: number, b: number, c: number, d: number) =>
    u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d;
  return {
    x: weigh(start.x, start.x + bend, end.x - bend, end.x),
    y: weigh(start.y, start.y, end.y, end.y),
  };
}
