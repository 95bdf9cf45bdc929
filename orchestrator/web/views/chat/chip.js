// What is attached, small.

import { html, Picture } from "../../ui.js";
import { useAssets } from "./assets.js";

const MARKS = { audio: "♪", music: "♫", text: "¶", video: "▶", image: "▣" };

/** Give the path of a picture of an asset, null where it has none. */
const pictured = (asset) => asset.thumbnail_url ?? (asset.kind === "image" ? asset.content_url ?? null : null);

/** A picture of an asset, or the sign of its kind. */
export const Small = ({ asset }) => {
  const path = pictured(asset);
  return path
    ? html`<${Picture} path=${path} alt="" />`
    : html`<span class="mark" aria-hidden="true">${MARKS[asset.kind] ?? "◆"}</span>`;
};

/** One attached thing, which can be taken away again. */
export function Chip({ one, onDrop }) {
  const ids = one.asset ? [one.asset.id] : [];
  const asset = useAssets(ids)[ids[0]] ?? one.asset;
  const name = one.error ? `${one.name}: ${one.error.message}` : asset ? one.name || asset.kind : `${one.name}, on its way`;
  return html`
    <li class="chip ${one.error ? "is-fault" : ""}">
      ${asset ? html`<${Small} asset=${asset} />` : !one.error && html`<span class="spinner" aria-hidden="true"></span>`}
      <span>${name}</span>
      <button type="button" class="quiet" aria-label=${`Take away ${one.name}`} onClick=${onDrop}>✕</button>
    </li>`;
}
