// Batches: many requests in one file, and what became of each of its lines.

import { html } from "../ui.js";
import { List } from "./batches/list.js";
import { One } from "./batches/one.js";
import { Upload } from "./batches/upload.js";

/** All batches and a place to begin one, or, with an id, one of them. */
export default function Batches({ id }) {
  return id
    ? html`<${One} key=${id} id=${id} />`
    : html`<div class="work"><h1>Batches</h1><${Upload} /><${List} /></div>`;
}
