// A picture that can be looked at closely.

import { content } from "../../api.js";
import { html, Picture, useEffect, useRef, useState } from "../../ui.js";

const STEP = 1.5;
const LEAST = 0.25;
const MOST = 16;

/** A picture; it fits its frame until it is zoomed. */
export function Zoom({ asset }) {
  const [scale, set] = useState(null); // null: as it fits
  const frame = useRef();
  useEffect(() => set(null), [asset.id]);
  const times = (factor) => set((was) => {
    const now = was ?? frame.current.querySelector("img").clientWidth / asset.width;
    return Math.max(LEAST, Math.min(MOST, now * factor));
  });
  const keys = { "+": () => times(STEP), "=": () => times(STEP), "-": () => times(1 / STEP), 0: () => set(null), 1: () => set(1) };
  const pressed = (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  };
  const size = scale && asset.width ? { width: `${asset.width * scale}px`, maxWidth: "none", maxHeight: "none" } : {};
  return html`
    <div class="zoom">
      <div class="frame" ref=${frame} tabindex="0" role="group" aria-label="Picture: plus and minus zoom, zero fits" onKeyDown=${pressed}>
        <${Picture} path=${content(asset)} alt=${asset.caption || "a picture"} class=${scale > 2 ? "is-large" : ""} style=${size} />
      </div>
      ${asset.width && html`
        <div class="buttons">
          <button type="button" class="quiet" aria-label="Smaller" onClick=${() => times(1 / STEP)}>−</button>
          <button type="button" class="quiet" onClick=${() => set(null)}>Fit</button>
          <button type="button" class="quiet" onClick=${() => set(1)}>1:1</button>
          <button type="button" class="quiet" aria-label="Larger" onClick=${() => times(STEP)}>+</button>
          <span class="soft" role="status">${scale ? `${Math.round(scale * 100)} %` : "fits"}</span>
        </div>`}
    </div>`;
}
