// Words in which assets are named as @asset_…; they are shown as pictures.

import { html } from "../../ui.js";
import { useAssets } from "./assets.js";
import { Small } from "./chip.js";

const REFERENCE = /@(asset_\w+)/;

function Named({ id }) {
  const asset = useAssets([id])[id];
  if (!asset) return html`<span class="named">${asset === null ? "something that was deleted" : "…"}</span>`;
  return html`<a class="named" href="#/asset/${id}"><${Small} asset=${asset} /><span>${asset.caption || asset.kind}</span></a>`;
}

/** Text with its references to assets as links. */
export const Words = ({ text }) => text.split(REFERENCE).map((part, i) => (i % 2 ? html`<${Named} key=${i} id=${part} />` : part));
