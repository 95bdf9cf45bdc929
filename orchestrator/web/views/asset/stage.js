// The asset itself, as its kind wants to be seen or heard.

import { ask, content, source } from "../../api.js";
import { Busy, Fault, html, useEffect, useLoad, useState } from "../../ui.js";
import { Player } from "./player.js";
import { Roll } from "./roll.js";
import { Zoom } from "./zoom.js";

/** Give the view of a media type. */
export function Stage({ asset }) {
  const [family] = asset.media_type.split("/");
  if (family === "image") return html`<${Zoom} asset=${asset} />`;
  if (family === "video") return html`<${Video} asset=${asset} />`;
  if (asset.media_type === "audio/midi") return html`<${Roll} asset=${asset} />`;
  if (family === "audio") return html`<${Player} asset=${asset} />`;
  if (family === "text" || asset.media_type === "application/json") return html`<${Words} asset=${asset} />`;
  return html`<p class="hint">This kind of file cannot be shown here. Download it.</p>`;
}

function Video({ asset }) {
  const [url, set] = useState(null);
  const [error, fail] = useState(null);
  useEffect(() => {
    let isWanted = true;
    source(content(asset)).then((found) => isWanted && set(found), (wrong) => isWanted && fail(wrong));
    return () => { isWanted = false; };
  }, [asset.id]);
  if (error) return html`<${Fault} error=${error} />`;
  if (!url) return html`<${Busy} />`;
  const broken = () => fail(new Error("This browser cannot play the video. Download it and use another player."));
  return html`<video class="film" controls loop playsinline preload="metadata" src=${url} aria-label=${asset.caption} onError=${broken}></video>`;
}

function Words({ asset }) {
  const { value, error } = useLoad((signal) => ask("GET", content(asset), { signal }).then((answer) => answer.text()), [asset.id]);
  if (error) return html`<${Fault} error=${error} />`;
  return value === null ? html`<${Busy} />` : html`<div class="words" tabindex="0" role="region" aria-label="The text">${value}</div>`;
}
