// The queues themselves: how much waits in each, who serves it, and how quickly.

import { html } from "../../ui.js";
import { about } from "./spans.js";

/** A table of the queues, of everybody's work. */
export function Places({ queues }) {
  if (!queues.length) return null;
  return html`
    <section aria-label="Queues">
      <h2>Queues</h2>
      <div class="scrolls" tabindex="0" role="region" aria-label="Table of queues">
        <table>
          <caption class="hidden">Work of everybody, by queue; speed over the last five minutes</caption>
          <thead><tr>
            <th scope="col">Queue</th><th scope="col">Running</th><th scope="col">Waiting</th><th scope="col">Workers</th><th scope="col">Ended a minute</th><th scope="col">A call takes</th>
          </tr></thead>
          <tbody>${queues.map((queue) => html`<${Place} key=${queue.id} queue=${queue} />`)}</tbody>
        </table>
      </div>
    </section>`;
}

function Place({ queue }) {
  const times = Object.entries(queue.call_s).filter(([tool]) => !tool.startsWith("studio."));
  return html`
    <tr>
      <th scope="row">${queue.id}</th>
      <td>${queue.running}</td>
      <td>${queue.waiting}${queue.oldest_s > 2 ? html`<span class="soft">, ${about(queue.oldest_s)}</span>` : ""}</td>
      <td>${queue.workers || html`<span class="trouble">none</span>`}</td>
      <td>${queue.per_minute === null ? html`<span class="soft">not measured</span>` : queue.per_minute.toFixed(1)}</td>
      <td>${times.length ? times.map(([tool, seconds]) => html`<div key=${tool}>${tool} ${seconds.toFixed(seconds < 10 ? 1 : 0)} s</div>`) : html`<span class="soft">–</span>`}</td>
    </tr>`;
}
