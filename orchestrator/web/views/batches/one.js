// One batch: how far it is, each of its lines, and its files.

import { ask, download, get, post } from "../../api.js";
import { Bar, Busy, Fault, html, say, Status, useEffect, useEvery, useLoad, useRef, useState, When } from "../../ui.js";
import { isOpen, tally, told } from "./counts.js";
import { Rows } from "./rows.js";

const AGAIN_MS = 1000;

/** A batch by its id. */
export function One({ id }) {
  const { value: batch, error, again } = useLoad((signal) => get(`/v1/batches/${id}`, {}, signal), [id]);
  const goesOn = batch && isOpen(batch);
  useEvery(AGAIN_MS, () => goesOn && again(), [goesOn]);
  useEnd(batch);
  if (error && !batch) return html`<div class="work"><${Back} /><${Fault} error=${error} again=${error.status === 404 ? null : again} /></div>`;
  if (!batch) return html`<${Busy} />`;
  const { begun, ended, troubled } = tally(batch);
  return html`
    <div class="work">
      <${Back} />
      <header class="row">
        <h1>Batch of ${new Date(batch.created_at * 1000).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" })}</h1>
        <${Status} status=${batch.status} />
      </header>
      <section class="card stack" aria-label="Progress">
        <p>${told(batch)}<span class="soft"> · begun <${When} at=${batch.created_at} /></span></p>
        <${Bar} percent=${goesOn && !batch.exhausted ? null : begun ? (100 * ended) / begun : 100} label="Lines that have ended" />
        <${Actions} batch=${batch} troubled=${troubled} onDone=${again} />
      </section>
      ${error && html`<${Fault} error=${error} again=${again} />`}
      <${Rows} id=${id} version=${`${batch.status} ${JSON.stringify(batch.counts)}`} counts=${batch.counts} />
    </div>`;
}

const Back = () => html`<p><a href="#/batches">All batches</a></p>`;

/** Say once that a batch has ended while it was looked at. */
function useEnd(batch) {
  const was = useRef(null);
  useEffect(() => {
    if (batch && was.current === "in_progress" && batch.status === "completed") say(`The batch has ended: ${told(batch)}.`);
    was.current = batch?.status;
  }, [batch?.status]);
}

function Actions({ batch, troubled, onDone }) {
  const [isBusy, setBusy] = useState(false);
  const act = (what) => async () => {
    setBusy(true);
    try {
      await what();
    } catch (error) {
      say(error.message, true);
    } finally {
      setBusy(false);
    }
  };
  const change = (verb) => act(async () => {
    await post(`/v1/batches/${batch.id}/${verb}`);
    onDone();
  });
  return html`
    <p class="row">
      <button type="button" class="quiet" disabled=${isBusy} onClick=${act(() => download(`/v1/batches/${batch.id}/results`, `${batch.id}.jsonl`))}>Download results</button>
      ${troubled > 0 && html`<button type="button" class="quiet" disabled=${isBusy} onClick=${act(() => saveErrors(batch.id))}>Download errors</button>`}
      ${batch.status === "in_progress" && html`<button type="button" class="quiet" disabled=${isBusy} onClick=${change("cancel")}>Stop the batch</button>`}
      ${batch.status === "cancelled" && html`<button type="button" disabled=${isBusy} onClick=${change("resume")}>Go on with it</button>`}
    </p>`;
}

/** Save the lines of the results that did not succeed. */
async function saveErrors(id) {
  const all = await (await ask("GET", `/v1/batches/${id}/results`)).text();
  const lines = all.split("\n").filter((line) => line && ["failed", "bad_line", "cancelled"].includes(JSON.parse(line).status));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines.map((line) => `${line}\n`), { type: "application/jsonl" }));
  link.download = `${id}-errors.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
