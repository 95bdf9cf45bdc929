// One asset in the grid: its picture, what it is, and a box to select it.

import { html } from "../../ui.js";
import { Small } from "../chat/chip.js";
import { drags } from "../chat/drop.js";

/** A tile at a place of the grid. */
export function Tile({ asset, place, position, size, isSelected, hasSelected, onSelect }) {
  const name = asset.caption || asset.kind;
  const isLong = asset.seconds !== null && asset.seconds !== undefined;
  return html`
    <li class="tile ${isSelected ? "is-selected" : ""} ${hasSelected ? "is-choosing" : ""}" style=${place} aria-posinset=${position} aria-setsize=${size} ...${drags(asset)}>
      <a href="#/asset/${asset.id}" title=${name}>
        <span class="face kind-${asset.kind}"><${Small} asset=${asset} /></span>
        <span class="label">${name}<small>${asset.kind}${isLong ? `, ${asset.seconds.toFixed(1)} s` : ""}</small></span>
      </a>
      <input type="checkbox" checked=${isSelected} aria-label=${`Select ${name}`} onClick=${onSelect} />
    </li>`;
}
