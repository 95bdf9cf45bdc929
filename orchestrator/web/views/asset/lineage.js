// Where an asset came from and what came of it, as a graph from left to right.

import { html } from "../../ui.js";
import { Small } from "../chat/chip.js";

const WIDTH = 96;
const HEIGHT = 108;
const ACROSS = 56; // between columns
const DOWN = 14; // between rows
const MOST = 60;

/** Give each id the length of the longest way to it from an asset that was made of nothing. */
export function depths(ids, edges) {
  const depth = new Map(ids.map((id) => [id, 0]));
  for (let turn = 0; turn < ids.length; turn++) {
    let isSettled = true;
    for (const { child, parent } of edges) {
      if (depth.has(child) && depth.has(parent) && depth.get(child) <= depth.get(parent) && depth.get(parent) < ids.length) {
        depth.set(child, depth.get(parent) + 1);
        isSettled = false;
      }
    }
    if (isSettled) break;
  }
  return depth;
}

function placed(assets, edges) {
  const depth = depths(assets.map(({ id }) => id), edges);
  const filled = [];
  return new Map(assets.map((asset) => {
    const column = depth.get(asset.id);
    const row = filled[column] ?? 0;
    filled[column] = row + 1;
    return [asset.id, { asset, x: column * (WIDTH + ACROSS), y: row * (HEIGHT + DOWN) }];
  }));
}

/** The graph; nothing for an asset that stands alone. */
export function Lineage({ asset, lineage }) {
  const { ancestors, descendants, edges } = lineage;
  const all = [...ancestors, asset, ...descendants];
  if (all.length === 1) return html`<p class="hint">It was made from no other asset, and nothing was made from it yet.</p>`;
  const near = new Set(edges.flatMap(({ child, parent }) => (child === asset.id ? [parent] : parent === asset.id ? [child] : [])));
  const first = [asset, ...all.filter(({ id }) => near.has(id)), ...all.filter(({ id }) => id !== asset.id && !near.has(id))];
  const shown = all.filter((one) => first.slice(0, MOST).includes(one));
  const places = placed(shown, edges);
  const spots = [...places.values()];
  const width = Math.max(...spots.map(({ x }) => x)) + WIDTH;
  const height = Math.max(...spots.map(({ y }) => y)) + HEIGHT;
  return html`
    <div class="lineage" tabindex="0" role="group" aria-label="Lineage">
      <div style=${{ width: `${width}px`, height: `${height}px` }}>
        <svg width=${width} height=${height} aria-hidden="true">
          ${edges.map(({ child, parent }) => {
            const [from, to] = [places.get(parent), places.get(child)];
            return from && to && html`<path key=${`${parent}${child}`} d=${curve(from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2)} />`;
          })}
        </svg>
        ${spots.map(({ asset: one, x, y }) => html`
          <a key=${one.id} href="#/asset/${one.id}" class=${one.id === asset.id ? "is-this" : ""} aria-current=${one.id === asset.id ? "page" : undefined}
            style=${{ left: `${x}px`, top: `${y}px`, width: `${WIDTH}px`, height: `${HEIGHT}px` }} title=${one.caption}>
            <span class="face"><${Small} asset=${one} /></span><span class="label">${one.caption || one.kind}</span>
          </a>`)}
      </div>
    </div>
    ${all.length > MOST && html`<p class="hint">${all.length - MOST} more are not drawn.</p>`}`;
}

const curve = (x1, y1, x2, y2) => `M${x1} ${y1}C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}`;
