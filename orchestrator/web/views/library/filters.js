// The search box, and what the assets must be.

import { get } from "../../api.js";
import { html, useEffect, useLoad, useRef, useState } from "../../ui.js";
import { isOpen, NOTHING } from "./address.js";

const KINDS = { image: "Pictures", video: "Videos", audio: "Sounds", music: "Music", text: "Texts" };
const PAUSE_MS = 350;

/** One box for words, pictures and sounds. */
export function SearchBox({ wanted, onChange, onFile }) {
  const [text, set] = useState(wanted.q);
  const timer = useRef();
  useEffect(() => set(wanted.q), [wanted.q]);
  const ask = (q) => { clearTimeout(timer.current); onChange({ q: q.trim() }); };
  const typed = ({ target }) => {
    set(target.value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => ask(target.value), PAUSE_MS);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return html`
    <form class="search" role="search" onSubmit=${(event) => { event.preventDefault(); ask(text); }}>
      <label class="hidden" for="search">Search the library</label>
      <input id="search" type="search" value=${text} onInput=${typed} maxlength="500" autocomplete="off" placeholder="What does it show? Or drop a file here" />
      <label class="button quiet pick">By a file…<input class="hidden" type="file" accept="image/*,audio/*,video/*,.mid,.midi,.txt"
        onChange=${({ target }) => { if (target.files[0]) onFile(target.files[0]); target.value = ""; }} /></label>
    </form>`;
}

/** The filters; on a narrow screen behind a button. */
export function Filters({ wanted, collections, onChange }) {
  const models = useLoad((signal) => get("/v1/models", {}, signal), []);
  const drawing = (models.value?.data ?? []).filter(({ kind }) => kind in KINDS).map(({ id }) => id);
  const field = (name) => ({ value: wanted[name], onChange: ({ target }) => onChange({ [name]: target.value }) });
  const { q, like, ...others } = wanted;
  const used = Object.values(others).filter(Boolean).length;
  return html`
    <details class="filters" open=${used > 0 || innerWidth > 640}>
      <summary>Filters${used ? ` (${used})` : ""}</summary>
      <div>
        <label>Kind<select ...${field("kind")}>
          <option value="">all</option>
          ${Object.entries(KINDS).map(([kind, name]) => html`<option key=${kind} value=${kind}>${name}</option>`)}
        </select></label>
        <label>Collection<select ...${field("collection")}>
          <option value="">all</option>
          ${collections.map((one) => html`<option key=${one.id} value=${one.id}>${one.name}</option>`)}
        </select></label>
        <label>Tag<input ...${field("tag")} maxlength="400" autocomplete="off" placeholder="any" /></label>
        <label>Model<select ...${field("model")}>
          <option value="">any</option>
          ${[...new Set([...drawing, wanted.model].filter(Boolean))].map((id) => html`<option key=${id} value=${id}>${id}</option>`)}
        </select></label>
        <label>From<input type="date" ...${field("from")} max=${wanted.to} /></label>
        <label>To<input type="date" ...${field("to")} min=${wanted.from} /></label>
        ${!isOpen(wanted) && html`<button type="button" class="quiet" onClick=${() => onChange(NOTHING)}>Show everything</button>`}
      </div>
    </details>`;
}
