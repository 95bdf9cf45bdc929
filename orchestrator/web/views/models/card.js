// The card of a model.

import { ask } from "../../api.js";
import { Busy, Fault, html, useLoad } from "../../ui.js";
import { Markdown } from "./markdown.js";

/** What is written about a model. */
export function Card({ id }) {
  const { value, error, again } = useLoad(async (signal) => (await ask("GET", `/v1/models/${encodeURIComponent(id)}/card`, { signal })).text(), [id]);
  return html`
    <div class="work">
      <p><a href="#/models">All models and tools</a></p>
      ${error && html`<${Fault} error=${error} again=${error.status === 404 ? null : again} />`}
      ${!value && !error && html`<${Busy} />`}
      ${value && html`<article class="prose"><${Markdown} text=${value} /></article>`}
    </div>`;
}
