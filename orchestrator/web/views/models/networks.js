// The networks.

import { bytes, html } from "../../ui.js";
import { Part } from "./part.js";

/** The models. */
export const Networks = () => html`
  <${Part} title="Networks" path="/v1/models" empty="There is no network.">${(model) => html`<${Network} key=${model.id} model=${model} />`}<//>`;

function Network({ model }) {
  const facts = [model.size_bytes && bytes(model.size_bytes), model.licence].filter(Boolean).join(" · ");
  return html`
    <li class="card stack">
      <h3>${model.id} ${model.kind && html`<span class="tag">${model.kind}</span>`}</h3>
      ${model.kind === "studio" && html`<p>The whole studio, as OpenAI's clients call it: it plans, makes and answers.</p>`}
      ${model.about && html`<p>${model.about}</p>`}
      ${facts && html`<p class="soft">${facts}</p>`}
      ${model.fault && html`<p class="trouble">${model.fault}</p>`}
      ${model.has_card && html`<p><a href="#/models/${encodeURIComponent(model.id)}">Its card<span class="hidden"> (${model.id})</span></a></p>`}
    </li>`;
}
