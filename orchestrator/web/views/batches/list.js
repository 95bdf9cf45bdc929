// The batches that there are, newest first.

import { get } from "../../api.js";
import { Bar, Busy, Empty, Fault, html, Status, useEvery, useLoad, useState, When } from "../../ui.js";
import { isOpen, tally, told } from "./counts.js";

const AGAIN_MS = 2000;

/** The list; it is read again while something in it goes on. */
export function List() {
  const [limit, setLimit] = useState(20);
  const { value, error, again } = useLoad((signal) => get("/v1/batches", { limit }, signal), [limit]);
  const goesOn = value?.data.some(isOpen);
  useEvery(AGAIN_MS, () => goesOn && again(), [goesOn]);
  if (error && !value) return html`<${Fault} error=${error} again=${again} />`;
  if (!value) return html`<${Busy} />`;
  if (!value.data.length) {
    return html`
      <${Empty} title="No batch yet">
        <p>A batch is a file with a request in each line. Open “Examples to start from” above, run one, and see each line being made.</p>
      <//>`;
  }
  return html`
    <ul class="plain entries" aria-label="Batches">
      ${value.data.map((batch) => html`<${Line} key=${batch.id} batch=${batch} />`)}
    </ul>
    ${value.has_more && html`<button type="button" class="quiet" onClick=${() => setLimit((n) => Math.min(200, n * 2))}>Show more</button>`}`;
}

function Line({ batch }) {
  const { ended, begun } = tally(batch);
  return html`
    <li class="card">
      <a class="title" href="#/batches/${batch.id}">Batch of ${new Date(batch.created_at * 1000).toLocaleString("en", { dateStyle: "medium", timeStyle: "medium" })}</a>
      <${Status} status=${batch.status} />
      <span class="soft">${told(batch)} · <${When} at=${batch.created_at} /></span>
      ${isOpen(batch) && html`<${Bar} percent=${batch.exhausted && begun ? (100 * ended) / begun : null} label="Lines that have ended" />`}
    </li>`;
}
