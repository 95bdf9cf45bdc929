// One asset: what it is, how it was made, where it came from, and what can be done with it.

import { content, del, download, get } from "../api.js";
import { Busy, Dialog, Fault, go, html, say, useEffect, useLoad, useState } from "../ui.js";
import { drags } from "./chat/drop.js";
import { Again } from "./asset/again.js";
import { Facts } from "./asset/facts.js";
import { Lineage } from "./asset/lineage.js";
import { Stage } from "./asset/stage.js";
import { Collections, Tags } from "./asset/tags.js";
import { write } from "./library/address.js";
import { forget } from "./library/feed.js";

const ALONE = { ancestors: [], descendants: [], edges: [] };
const ENDINGS = { "image/jpeg": "jpg", "audio/midi": "mid", "audio/mpeg": "mp3", "text/plain": "txt", "text/markdown": "md" };
const SIGNS = /[^\p{L}\p{N}_-]+/gu;

/** Give a name for the file of an asset. */
const fileName = ({ caption, kind, media_type: type }) =>
  `${caption.replace(SIGNS, " ").trim().slice(0, 60) || kind}.${ENDINGS[type] ?? type.split("/")[1]}`;

export default function Asset({ id }) {
  const found = useLoad((signal) => get(`/v1/assets/${id}`, {}, signal), [id]);
  const lineage = useLoad((signal) => get(`/v1/assets/${id}/lineage`, {}, signal), [id]);
  const [changed, change] = useState(null);
  const [isLeaving, leave] = useState(false);
  useEffect(() => { change(null); leave(false); }, [id]);
  const asset = changed ?? found.value;
  if (found.error?.status === 404) return html`<${Fault} error=${new Error("This asset is not in the library: it was deleted, or the address is wrong.")} /><p><a href="#/library">To the library</a></p>`;
  if (found.error) return html`<${Fault} error=${found.error} again=${found.again} />`;
  if (asset?.id !== id) return html`<${Busy} />`;
  const history = lineage.value ?? ALONE;
  const remove = async () => {
    try {
      await del(`/v1/assets/${id}`);
      forget();
      say("It is deleted.");
      go("#/library");
    } catch (error) {
      say(error.message, true);
    }
  };
  const save = () => download(content(asset), fileName(asset)).catch((error) => say(error.message, true));
  return html`
    <article class="asset-view">
      <header>
        <a class="back" href="#/library">← Library</a>
        <h1 ...${drags(asset)}>${asset.caption || asset.kind}</h1>
      </header>
      <div class="stage"><${Stage} key=${id} asset=${asset} /></div>
      <div class="side">
        <div class="buttons">
          <button type="button" onClick=${save}>Download</button>
          <a class="button quiet" href=${write({ like: id })}>More like this</a>
          <button type="button" class="quiet bad" onClick=${() => leave(true)}>Delete</button>
        </div>
        <${Facts} asset=${asset} />
        <h2>Tags and collections</h2>
        <${Tags} asset=${asset} onChange=${change} />
        <${Collections} asset=${asset} />
        <h2>Once more</h2>
        <${Again} key=${id} asset=${asset} parents=${history.ancestors} />
      </div>
      <section class="history">
        <h2>Where it came from, and what came of it</h2>
        ${lineage.error ? html`<${Fault} error=${lineage.error} again=${lineage.again} />` : lineage.value && html`<${Lineage} asset=${asset} lineage=${history} />`}
      </section>
      ${isLeaving && html`
        <${Dialog} title="Delete it?" onClose=${() => leave(false)}>
          <p>It leaves the library and search. What was made from it stays, and keeps its history.</p>
          <p class="buttons"><button type="button" class="danger" onClick=${remove}>Delete</button><button type="button" class="quiet" onClick=${() => leave(false)}>Keep</button></p>
        <//>`}
    </article>`;
}
