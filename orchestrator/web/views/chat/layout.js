// Where the steps of a plan stand: by how many steps stand before them.

const REFERENCE = /^\$(s\d+)(?:\[\d+\])?$/;
export const NODE = { width: 12, height: 4.75 }; // rem
const GAP = { x: 2.5, y: 0.75 };
const MARGIN = 1.5; // at the left of a single column, for its lines

/** Give the ids of the steps that a step waits for. */
export function needs(step) {
  const found = [];
  const look = (value) => {
    if (typeof value === "string") {
      const id = REFERENCE.exec(value)?.[1];
      if (id && !found.includes(id)) found.push(id);
    } else if (Array.isArray(value)) value.forEach(look);
  };
  Object.values(step.args).forEach(look);
  return found;
}

/** Give {places: {ID: {x, y}}, lines: [{from, to, d}], width, height}, all in rem; one below the other where `isNarrow`. */
export function layout(steps, isNarrow) {
  const behind = Object.fromEntries(steps.map((step) => [step.id, needs(step)]));
  const column = {};
  for (const { id } of steps) column[id] = 1 + Math.max(-1, ...behind[id].map((need) => column[need] ?? -1));
  const rows = {}; // how many stand in a column
  const places = {};
  steps.forEach(({ id }, index) => {
    const row = (rows[column[id]] = (rows[column[id]] ?? -1) + 1);
    places[id] = isNarrow
      ? { x: MARGIN, y: index * (NODE.height + GAP.y) }
      : { x: column[id] * (NODE.width + GAP.x), y: row * (NODE.height + GAP.y) };
  });
  const line = isNarrow ? beside : between;
  const lines = steps.flatMap(({ id }) => behind[id].filter((need) => places[need]).map((need) => ({ from: need, to: id, d: line(places[need], places[id]) })));
  const all = Object.values(places);
  return {
    places,
    lines,
    width: Math.max(...all.map(({ x }) => x)) + NODE.width,
    height: Math.max(...all.map(({ y }) => y)) + NODE.height,
  };
}

function between(from, to) {
  const [x1, y1, x2, y2] = [from.x + NODE.width, from.y + NODE.height / 2, to.x, to.y + NODE.height / 2];
  const middle = (x1 + x2) / 2;
  return `M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}`;
}

function beside(from, to) {
  const [y1, y2] = [from.y + NODE.height / 2, to.y + NODE.height / 2];
  return `M${MARGIN},${y1} C0,${y1} 0,${y2} ${MARGIN},${y2}`;
}
