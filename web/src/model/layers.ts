/**
 * Lays out a small directed graph from left to right: callers before what they call.
 *
 * Layers by the longest path (cycles are opened where a search in depth meets them), order within a layer by
 * the barycentre of the neighbours, a few sweeps. After Sugiyama, Tagawa and Toda, 1981. Graphs of services
 * are small; a library with routing of edges was refused for its size (dagre: 30 kB).
 */

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
}

export interface Laid {
  /** Position of each node: layer from the left, place from the top, and how many share its layer. */
  readonly nodes: ReadonlyMap<
    string,
    { readonly layer: number; readonly place: number; readonly of: number }
  >;
  readonly layers: number;
  /** Nodes of the fullest layer. */
  readonly rows: number;
}

const SWEEPS = 4;

export function layered(names: readonly string[], edges: readonly GraphEdge[]): Laid {
  const known = new Set(names);
  const forward = withoutCycles(
    names,
    edges.filter((e) => e.from !== e.to && known.has(e.from) && known.has(e.to)),
  );
  const layerOf = longestPaths(names, forward);
  const layers: string[][] = [];
  for (const name of names) {
    const layer = layerOf.get(name) ?? 0;
    while (layers.length <= layer) layers.push([]);
    layers[layer]?.push(name);
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) order(layers, forward, sweep % 2 === 0);
  const nodes = new Map<string, { layer: number; place: number; of: number }>();
  layers.forEach((members, layer) => {
    members.forEach((name, at) => {
      nodes.set(name, { layer, place: at, of: members.length });
    });
  });
  return { nodes, layers: layers.length, rows: Math.max(0, ...layers.map((members) => members.length)) };
}

/** Turns round every edge that leads back to a node the search came from. */
function withoutCycles(names: readonly string[], edges: readonly GraphEdge[]): GraphEdge[] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of edges) targets.set(from, [...(targets.get(from) ?? []), to]);
  const called = new Set(edges.map((edge) => edge.to));
  const state = new Map<string, "open" | "done">();
  const back = new Set<string>();
  const visit = (name: string) => {
    state.set(name, "open");
    for (const to of targets.get(name) ?? []) {
      if (state.get(to) === "open") back.add(`${name}\0${to}`);
      else if (!state.has(to)) visit(to);
    }
    state.set(name, "done");
  };
  // From those nobody calls: what calls them back is then what leads back.
  for (const name of [...names].sort((a, b) => Number(called.has(a)) - Number(called.has(b)))) {
    if (!state.has(name)) visit(name);
  }
  return edges.map((edge) =>
    back.has(`${edge.from}\0${edge.to}`) ? { from: edge.to, to: edge.from } : edge,
  );
}

function longestPaths(names: readonly string[], edges: readonly GraphEdge[]): Map<string, number> {
  const layerOf = new Map(names.map((name) => [name, 0]));
  // Without cycles every pass settles a layer: as many passes as there are names are enough.
  for (let pass = 0; pass < names.length; pass++) {
    let isSettled = true;
    for (const { from, to } of edges) {
      const wanted = (layerOf.get(from) ?? 0) + 1;
      if ((layerOf.get(to) ?? 0) < wanted) {
        layerOf.set(to, wanted);
        isSettled = false;
      }
    }
    if (isSettled) break;
  }
  return layerOf;
}

function order(layers: string[][], edges: readonly GraphEdge[], isDownward: boolean): void {
  const sequence = isDownward ? layers : [...layers].reverse();
  const place = new Map<string, number>();
  const settle = (members: string[]) =>
    members.forEach((name, i) => void place.set(name, (i + 0.5) / members.length));
  for (const members of layers) settle(members);
  for (const members of sequence) {
    const centre = new Map(
      members.map((name) => {
        const near = edges.flatMap((e) => {
          const other = isDownward ? (e.to === name ? e.from : "") : e.from === name ? e.to : "";
          return other ? [place.get(other) ?? 0] : [];
        });
        return [
          name,
          near.length ? near.reduce((sum, at) => sum + at, 0) / near.length : (place.get(name) ?? 0),
        ];
      }),
    );
    members.sort((a, b) => (centre.get(a) ?? 0) - (centre.get(b) ?? 0) || (a < b ? -1 : 1));
    settle(members);
  }
}
