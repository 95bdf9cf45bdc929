// What is here: tools with requests to try, the networks with their cards, solutions, looks and workers.

import { html } from "../ui.js";
import { Card } from "./models/card.js";
import { Networks } from "./models/networks.js";
import { Solutions, Styles, Workers } from "./models/around.js";
import { Tools } from "./models/tools.js";

/** The overview, or, with an id, the card of a model. */
export default function Models({ id }) {
  if (id) return html`<${Card} key=${id} id=${id} />`;
  return html`
    <div class="work">
      <h1>Models and tools</h1>
      <${Tools} />
      <${Networks} />
      <${Styles} />
      <${Solutions} />
      <${Workers} />
    </div>`;
}
