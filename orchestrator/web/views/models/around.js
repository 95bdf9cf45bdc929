// What a company brought, and who does the work.

import { html, Status, When } from "../../ui.js";
import { Part } from "./part.js";

/** Looks that were learned here. */
export const Styles = () => html`
  <${Part} title="Your own looks" path="/v1/styles">${(style) => html`
    <li class="card stack" key=${style.name}>
      <h3>${style.name}</h3>
      <p class="soft">Learned <${When} at=${style.created_at} />${style.licence ? ` · ${style.licence}` : ""}</p>
      <p><a class="try" href="#/chat?say=${encodeURIComponent(`a happy cat in the style ${style.name}`)}">a happy cat in the style ${style.name}</a></p>
    </li>`}<//>`;

/** Services and documents that were plugged in. */
export const Solutions = () => html`
  <${Part} title="Solutions" path="/v1/solutions">${(solution) => html`
    <li class="card stack" key=${solution.id}>
      <h3>${solution.id} <span class="tag">${solution.kind}</span> <${Status} status=${solution.state} /></h3>
      <p>${solution.description}</p>
      ${solution.approved?.length > 0 && html`<p class="soft">${solution.approved.map((tool) => tool.name).join(", ")}</p>`}
      ${solution.error && html`<p class="trouble">${solution.error.message}</p>`}
    </li>`}<//>`;

/** The worker processes. */
export const Workers = () => html`
  <${Part} title="Workers" path="/v1/workers" empty="No worker is here, so nothing is made. Start one: atelier worker">${(worker) => html`
    <li class="card stack" key=${worker.id}>
      <h3>${worker.id} ${worker.draining && html`<span class="tag">ends soon</span>`}</h3>
      <p class="soft">${worker.queues.join(", ")}${worker.device ? ` · ${worker.device.name ?? worker.device.kind}` : ""}</p>
      ${worker.slots !== null && html`<p>${worker.busy ?? 0} of ${worker.slots} ${worker.slots === 1 ? "place" : "places"} busy · came <${When} at=${worker.started_at} /></p>`}
    </li>`}<//>`;
