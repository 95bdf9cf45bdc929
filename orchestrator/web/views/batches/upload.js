// Where a batch begins: a file by button or by drop, or an example to change.

import { ask, once } from "../../api.js";
import { Fault, go, html, say, useRef, useState } from "../../ui.js";
import { SAMPLES } from "./samples.js";

/** Send a file of requests and go to the batch that it became. */
async function submit(file) {
  const body = new FormData();
  body.append("file", file, file.name);
  const batch = await (await ask("POST", "/v1/batches", { body, ...once() })).json();
  say(`${file.name} was accepted.`);
  go(`/batches/${batch.id}`);
}

/** The place for a file, and examples. */
export function Upload() {
  const [isBusy, setBusy] = useState(false);
  const [isOver, setOver] = useState(false);
  const [error, setError] = useState(null);
  const input = useRef();
  const take = async (file) => {
    if (!file || isBusy) return;
    setBusy(true);
    setError(null);
    try {
      await submit(file);
    } catch (failed) {
      setError(failed);
      setBusy(false);
    }
  };
  const dropped = (event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files[0]);
  };
  const over = (event) => {
    event.preventDefault();
    setOver(true);
  };
  return html`
    <section class="drop ${isOver ? "is-over" : ""}" aria-label="Begin a batch"
      onDragOver=${over} onDragLeave=${() => setOver(false)} onDrop=${dropped}>
      <p><strong>Many requests in one file.</strong> Drop a CSV or JSONL file here, or choose one.</p>
      <button type="button" disabled=${isBusy} onClick=${() => input.current.click()}>${isBusy ? "Sending" : "Choose a file"}</button>
      <input ref=${input} type="file" class="hidden" tabindex="-1" aria-label="A file of requests" accept=".csv,.tsv,.jsonl,.ndjson,.txt,text/csv"
        onChange=${({ target }) => { take(target.files[0]); target.value = ""; }} />
      ${error && html`<${Fault} error=${error} />`}
      <details class="samples">
        <summary>Examples to start from</summary>
        <ul class="cards">${SAMPLES.map((sample) => html`<${Sample} key=${sample.name} sample=${sample} isBusy=${isBusy} onTake=${take} />`)}</ul>
      </details>
    </section>`;
}

function Sample({ sample, isBusy, onTake }) {
  const file = () => new File([sample.content], sample.name, { type: "text/plain" });
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file());
    link.download = sample.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
  return html`
    <li class="card">
      <h3>${sample.label}</h3>
      <p class="soft">${sample.about}</p>
      <pre tabindex="0" aria-label=${sample.name}>${sample.content}</pre>
      <p class="row">
        <button type="button" class="quiet" onClick=${save}>Save ${sample.name}</button>
        <button type="button" class="quiet" disabled=${isBusy} onClick=${() => onTake(file())}>Run ${sample.name}</button>
      </p>
    </li>`;
}
