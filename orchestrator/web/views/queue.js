// The queue: what runs now, what waits, for whom, and until when.

import { get } from "../api.js";
import { Busy, Empty, Fault, html, useEvery, useLoad, useState } from "../ui.js";
import { Line } from "./queue/line.js";
import { Places } from "./queue/places.js";

const AGAIN_MS = 2000;

/** What the studio is at, read again every two seconds while it is seen. */
export default function Queue() {
  const [mine, setMine] = useState(false);
  const { value, error, again } = useLoad((signal) => get("/v1/queue", { mine }, signal), [mine]);
  useEvery(AGAIN_MS, again, [again]);
  if (!value) return error ? html`<${Fault} error=${error} again=${again} />` : html`<${Busy} />`;
  const running = value.data.filter((run) => run.is_running);
  const waiting = value.data.filter((run) => !run.is_running);
  const sees = value.sees_all || mine;
  return html`
    <div class="work">
      <header class="row">
        <h1>Queue</h1>
        ${sees && html`<label class="check"><input type="checkbox" checked=${mine} onChange=${({ target }) => setMine(target.checked)} /> Only mine</label>`}
      </header>
      ${error && html`<${Fault} error=${error} again=${again} />`}
      ${!value.data.length && html`
        <${Empty} title="Nothing is running">
          <p>What you ask for shows here until it is done. <a href="#/chat">Say what you want</a>, or <a href="#/batches">upload a batch</a>.</p>
        <//>`}
      <${Part} title="Running now" runs=${running} all=${value} onChange=${again} />
      <${Part} title="Waiting" runs=${waiting} all=${value} onChange=${again} />
      ${value.has_more && html`<p class="soft">More runs are open than are shown here.</p>`}
      <${Others} others=${value.others} />
      <${Places} queues=${value.queues} />
    </div>`;
}

function Part({ title, runs, all, onChange }) {
  if (!runs.length) return null;
  return html`
    <section aria-label=${title}>
      <h2>${title} <span class="soft">${runs.length}</span></h2>
      <ul class="plain entries">
        ${runs.map((run) => html`<${Line} key=${run.id} run=${run} now=${all.now} showsOwner=${all.sees_all} onChange=${onChange} />`)}
      </ul>
    </section>`;
}

function Others({ others }) {
  if (!others.open) return null;
  return html`<p class="soft">${others.open === 1 ? "One run of others is" : `${others.open} runs of others are`} open, ${others.running} of them running now.</p>`;
}
