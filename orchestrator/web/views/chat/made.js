// What a run made or found, and what can be seen of it before it is there.

import { ask, content, source } from "../../api.js";
import { html, useEffect, useState } from "../../ui.js";
import { useAssets } from "./assets.js";
import { Small } from "./chip.js";
import { drags } from "./drop.js";

/** The assets of a run, and the previews and texts of its steps that still work. */
export function Made({ run, live, onUse }) {
  const ids = [...new Set(run.assets)];
  const assets = useAssets(ids, run.id);
  const coming = run.steps.filter((step) => step.status === "in_progress" && live.steps[step.id]);
  const previews = coming.filter((step) => live.steps[step.id].preview);
  const texts = coming.filter((step) => live.steps[step.id].text);
  if (!ids.length && !previews.length && !texts.length) return null;
  return html`
    <ul class="made" aria-label="What was made">
      ${ids.filter((id) => assets[id] !== null).map((id) => html`<${Asset} key=${id} id=${id} asset=${assets[id]} onUse=${onUse} />`)}
      ${previews.map((step) => html`
        <li class="asset is-coming" key=${step.id}><img src=${live.steps[step.id].preview} alt=${`Preview of ${step.id}`} /></li>`)}
      ${texts.map((step) => html`<li class="asset text is-coming" key=${`${step.id}-text`}><p>${live.steps[step.id].text}</p></li>`)}
    </ul>`;
}

function Asset({ id, asset, onUse }) {
  if (!asset) return html`<li class="asset"><span class="picture-empty" role="img" aria-label="on its way"></span></li>`;
  const name = asset.caption || asset.kind;
  const isText = asset.kind === "text";
  return html`
    <li class="asset ${isText ? "text" : asset.kind}" ...${drags(asset)}>
      ${isText && html`<${Text} asset=${asset} />`}
      ${asset.kind === "audio" && html`<${Player} asset=${asset} />`}
      <a href="#/asset/${id}" aria-label=${`Open ${name} (${asset.kind})`}>
        ${!isText && html`<${Small} asset=${asset} />`}
        <span class="name">${isText ? "Open this text" : asset.kind === "video" ? `▶ ${name}` : name}</span>
      </a>
      <button type="button" class="quiet use" aria-label=${`Use ${name} in what you say next`} title="Use in what you say next" onClick=${() => onUse(asset)}>@</button>
    </li>`;
}

function Text({ asset }) {
  const [text, set] = useState("");
  useEffect(() => {
    ask("GET", content(asset)).then((response) => response.text()).then(set, () => {});
  }, [asset.id]);
  return html`<p>${text}</p>`;
}

function Player({ asset }) {
  const [url, set] = useState(null);
  useEffect(() => { source(content(asset)).then(set, () => {}); }, [asset.id]);
  return url && html`<audio controls preload="metadata" src=${url} aria-label=${asset.caption}></audio>`;
}
