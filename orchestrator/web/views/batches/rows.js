// The lines of a batch, each with what it asked for and what became of it.

import { get, thumbnail } from "../../api.js";
import { Busy, Fault, html, Picture, Status, useEffect, useLoad, useState } from "../../ui.js";

const PAGE = 50;
const PICTURES = 4; // of a line that are shown
const FILTERS = [
  { label: "All", statuses: [] },
  { label: "Open", statuses: ["pending", "planning", "waiting_approval", "in_progress", "cancelling"] },
  { label: "Done", statuses: ["completed"] },
  { label: "With trouble", statuses: ["failed", "bad_line", "cancelled"] },
];

/** The lines, a page at a time; `version` changes when one of them does. */
export function Rows({ id, version, counts }) {
  const [filter, choose] = useState(0);
  const [trail, setTrail] = useState([0]); // the line behind which each page begins, up to the one that is seen
  const after = trail.at(-1);
  const status = FILTERS[filter].statuses;
  useEffect(() => setTrail([0]), [filter]);
  const { value, error, again } = useLoad(
    (signal) => get(`/v1/batches/${id}/rows`, { after, status, limit: PAGE }, signal),
    [id, version, after, filter],
  );
  const many = (statuses) => (statuses.length ? statuses.reduce((sum, one) => sum + (counts[one] ?? 0), 0) : Object.values(counts).reduce((a, b) => a + b, 0));
  return html`
    <div class="row" role="group" aria-label="Which lines">
      ${FILTERS.map(({ label, statuses }, n) => html`
        <button type="button" key=${label} class=${filter === n ? "" : "quiet"} aria-pressed=${filter === n} onClick=${() => choose(n)}>${label} ${many(statuses)}</button>`)}
    </div>
    ${error && html`<${Fault} error=${error} again=${again} />`}
    ${!value && !error && html`<${Busy} />`}
    ${value && !value.data.length && html`<p class="soft">${filter ? "No line stands so." : "No line was read yet."}</p>`}
    ${value?.data.length > 0 && html`
      <ol class="plain entries" aria-label="Lines">${value.data.map((row) => html`<${Line} key=${row.line} row=${row} />`)}</ol>`}
    ${(trail.length > 1 || value?.has_more) && html`
      <p class="row">
        <button type="button" class="quiet" disabled=${trail.length === 1} onClick=${() => setTrail((was) => was.slice(0, -1))}>Lines before</button>
        <button type="button" class="quiet" disabled=${!value?.has_more} onClick=${() => setTrail((was) => [...was, value.next])}>Next lines</button>
      </p>`}`;
}

const asked = (row) => row.say ?? (row.tool ? `${row.tool} ${Object.entries(row.args ?? {}).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(" ")}` : "");

function Line({ row }) {
  return html`
    <li class="card numbered">
      <span class="number soft"><span class="hidden">Line </span>${row.line}</span>
      <div class="stack">
        <p class="row"><${Status} status=${row.status} /> <span class="asked">${asked(row)}</span></p>
        ${row.error && html`<p class="trouble">${row.error.message}</p>`}
        ${row.reply && html`<p>${row.reply}</p>`}
        ${row.assets.length > 0 && html`
          <ul class="plain strip" aria-label="What it made">
            ${row.assets.slice(0, PICTURES).map((asset, n) => html`
              <li key=${asset}><${Result} asset=${asset} label="Result ${n + 1} of line ${row.line}" /></li>`)}
            ${row.assets.length > PICTURES && html`<li class="soft">and ${row.assets.length - PICTURES} more</li>`}
          </ul>`}
      </div>
    </li>`;
}

/** What a line made, as its small picture, or, where it has none (a text, say), by name. */
function Result({ asset, label }) {
  const [isBare, setBare] = useState(false);
  return html`
    <a class=${isBare ? "opens" : ""} href="#/asset/${asset}">
      ${isBare ? label : html`<${Picture} path=${thumbnail(asset)} alt=${label} width="64" height="64" onError=${() => setBare(true)} />`}
    </a>`;
}
